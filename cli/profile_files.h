// Profiles: clusters by name, so that -b need not be typed. A profile is a file of Kafka's client properties, as
// --command-config takes it, in $XDG_CONFIG_HOME/naru/profiles (else ~/.config); the file `current` beside that folder
// names the one in use.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cli/problem.h"

namespace cli {

struct Profile {
  std::string name;
  std::string path;
  bool is_current = false;
};

// The file of the profile in use, which may be gone; none: no profile is in use.
[[nodiscard]] std::optional<std::string> current_profile_file();
[[nodiscard]] std::vector<Profile> profiles();  // by name
// Letters, digits, '-', '_' and '.', not beginning with '.'.
[[nodiscard]] Outcome<void> check_profile_name(const std::string& name);
[[nodiscard]] Outcome<void> save_profile(const std::string& name, const std::vector<std::string>& properties);
[[nodiscard]] Outcome<void> use_profile(const std::string& name);  // empty: none
[[nodiscard]] Outcome<void> remove_profile(const std::string& name);

}  // namespace cli
