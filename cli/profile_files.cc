#include "cli/profile_files.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

namespace cli {

namespace {

namespace fs = std::filesystem;
constexpr std::string_view profile_suffix = ".properties";

// Empty: there is no home, as in a container.
fs::path profile_folder() {
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && *config != '\0')
    return fs::path(config) / "naru";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return fs::path(home) / ".config/naru";
  return {};
}
fs::path profile_file_of(const std::string& name) {
  return profile_folder() / "profiles" / (name + std::string(profile_suffix));
}
std::string current_profile_name() {
  const fs::path in = profile_folder();
  if (in.empty()) return {};
  std::ifstream file(in / "current");
  std::string name;
  std::getline(file, name);
  return name;
}

// Whole or not at all; for the user alone, as passwords may be in it.
Outcome<void> write_whole(const fs::path& path, const std::string& text) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  const fs::path beside = path.string() + ".new";
  std::ofstream(beside).close();
  fs::permissions(beside, fs::perms::owner_read | fs::perms::owner_write, error);
  std::ofstream file(beside);
  file << text;
  file.close();
  if (file) fs::rename(beside, path, error);
  if (!file || error) return problem(Exit::refused, fmt::format("cannot write {}", path.string()));
  return {};
}

Outcome<void> check_place() {
  if (!profile_folder().empty()) return {};
  return problem(Exit::refused, "there is nowhere to keep profiles: neither XDG_CONFIG_HOME nor HOME is set");
}

Problem no_such_profile(const std::string& name) {
  return {.exit = Exit::usage,
          .message = fmt::format("no such profile: {}", name),
          .next_step = "`naru profile list` shows what there is"};
}

}  // namespace

std::optional<std::string> current_profile_file() {
  const std::string name = current_profile_name();
  if (name.empty()) return std::nullopt;
  return profile_file_of(name).string();
}

std::vector<Profile> profiles() {
  std::vector<Profile> all;
  if (profile_folder().empty()) return all;
  const std::string current = current_profile_name();
  std::error_code error;
  for (fs::directory_iterator it(profile_folder() / "profiles", error), end; it != end; it.increment(error)) {
    const fs::path& path = it->path();
    if (path.extension() != profile_suffix) continue;
    const std::string name = path.stem().string();
    all.push_back({.name = name, .path = path.string(), .is_current = name == current});
  }
  std::ranges::sort(all, {}, &Profile::name);
  return all;
}

Outcome<void> check_profile_name(const std::string& name) {
  const bool is_good = !name.empty() && name.front() != '.' && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (!is_good)
    return problem(Exit::usage, fmt::format("profile '{}': letters, digits, '-', '_' and '.' make a name", name));
  return {};
}

Outcome<void> save_profile(const std::string& name, const std::vector<std::string>& properties) {
  if (Outcome<void> good = check_profile_name(name); !good) return good;
  if (Outcome<void> place = check_place(); !place) return place;
  std::string text = "# Of `naru profile save`. Kafka's client properties; --command-config takes this file too.\n";
  for (const std::string& property : properties) {
    for (const char c : property) text += c == '\\' ? std::string(2, c) : std::string(1, c);
    text += '\n';
  }
  return write_whole(profile_file_of(name), text);
}

Outcome<void> use_profile(const std::string& name) {
  if (Outcome<void> place = check_place(); !place) return place;
  std::error_code error;
  if (name.empty()) {
    fs::remove(profile_folder() / "current", error);
    return {};
  }
  if (Outcome<void> good = check_profile_name(name); !good) return good;
  if (!fs::exists(profile_file_of(name), error)) return tl::unexpected(no_such_profile(name));
  return write_whole(profile_folder() / "current", name + "\n");
}

Outcome<void> remove_profile(const std::string& name) {
  if (Outcome<void> good = check_profile_name(name); !good) return good;
  if (Outcome<void> place = check_place(); !place) return place;
  std::error_code error;
  if (!fs::remove(profile_file_of(name), error)) return tl::unexpected(no_such_profile(name));
  if (current_profile_name() == name) return use_profile({});
  return {};
}

}  // namespace cli
