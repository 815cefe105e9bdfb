// Client properties: which weighs more, what the command's own requests make of them, and profiles.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "cli/client_properties.h"
#include "cli/command_line.h"
#include "cli/profile_files.h"

using namespace cli;

namespace {

// Where profiles are kept, for the time of a test.
class Home {
 public:
  Home() : path_(std::filesystem::temp_directory_path() / fmt::format("naru-profiles-{}", ::getpid())) {
    std::filesystem::create_directories(path_);
    setenv("XDG_CONFIG_HOME", path_.c_str(), 1);
  }
  ~Home() {
    unsetenv("XDG_CONFIG_HOME");
    std::filesystem::remove_all(path_);
  }
  [[nodiscard]] std::string file(const std::string& name, const std::string& text) const {
    const std::string path = (path_ / name).string();
    std::ofstream(path) << text;
    return path;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

OwnSettings own_of(const Shared& shared) {
  const Outcome<ClientProperties> properties = client_properties(shared);
  REQUIRE(properties);
  const Outcome<OwnSettings> own = own_settings(*properties);
  REQUIRE(own);
  return *own;
}

template <class C>
C command_of(std::vector<const char*> words) {
  words.insert(words.begin(), "naru");
  const auto command = parse_command_line(static_cast<int>(words.size()), words.data());
  REQUIRE(command);
  REQUIRE(std::holds_alternative<C>(*command));
  return std::get<C>(*command);
}

}  // namespace

TEST_CASE("brokers: -X, then -b, then the file, then localhost") {
  const Home home;
  Shared shared;
  CHECK(own_of(shared).brokers == "localhost:9092");
  shared.command_config = home.file("client", "bootstrap.servers=file:1\nrequest.timeout.ms=700\n");
  CHECK(own_of(shared).brokers == "file:1");
  CHECK(own_of(shared).timeout == std::chrono::milliseconds(700));
  shared.brokers = "option:2";
  CHECK(own_of(shared).brokers == "option:2");
  CHECK(own_of(shared).timeout == std::chrono::milliseconds(700));
  shared.properties = {"bootstrap.servers=word:3", "request.timeout.ms=900"};
  CHECK(own_of(shared).brokers == "word:3");
  CHECK(own_of(shared).timeout == std::chrono::milliseconds(900));
}

TEST_CASE("what the command's own requests cannot follow, and what means nothing to them") {
  Shared shared;
  shared.brokers = "a:1";
  shared.properties = {"security.protocol=SASL_SSL", "linger.ms=5"};
  CHECK_FALSE(own_of(shared).speaks_plainly);
  CHECK(own_of(shared).without_effect == std::vector<std::string>{"linger.ms"});
  shared.properties = {"security.protocol=PLAINTEXT"};
  CHECK(own_of(shared).speaks_plainly);
  CHECK(own_of(shared).without_effect.empty());

  for (const char* wrong : {"nonsense", "=1", "request.timeout.ms=soon"}) {
    shared.properties = {wrong};
    const Outcome<ClientProperties> properties = client_properties(shared);
    const bool is_right = properties && own_settings(*properties);
    INFO(wrong);
    CHECK_FALSE(is_right);
  }
  shared.properties.clear();
  shared.command_config = "/nonexistent/client.properties";
  CHECK(client_properties(shared).error().exit == Exit::usage);
}

TEST_CASE("every command takes -X and --command-config, and one -X is one word") {
  const auto describe = command_of<TopicDescribeCommand>(
      {"topic", "describe", "-X", "a=1", "orders", "--command-config", "f", "-X", "b=2"});
  CHECK(describe.names == std::vector<std::string>{"orders"});
  CHECK(describe.shared.properties == std::vector<std::string>{"a=1", "b=2"});
  CHECK(describe.shared.command_config == "f");
  CHECK(command_of<ProduceCommand>({"produce", "-X", "linger.ms=1", "t"}).shared.properties ==
        std::vector<std::string>{"linger.ms=1"});
  CHECK(command_of<StatusCommand>({"status", "-X", "a=1"}).shared.properties.size() == 1);
}

TEST_CASE("a profile stands in for -b until another one is used") {
  const Home home;
  CHECK(profiles().empty());
  CHECK_FALSE(current_profile_file());
  REQUIRE(save_profile("test", {"bootstrap.servers=test:1", R"(ssl.key.password=a\b)"}));
  REQUIRE(save_profile("other", {"bootstrap.servers=other:1"}));
  REQUIRE(use_profile("test"));
  CHECK(own_of({}).brokers == "test:1");
  const Outcome<ClientProperties> properties = client_properties({});
  REQUIRE(properties);
  CHECK(value_of(*properties, "ssl.key.password") == R"(a\b)");
  const auto mode = std::filesystem::status(home.path() / "naru/profiles/test.properties").permissions();
  CHECK((mode & (std::filesystem::perms::group_all | std::filesystem::perms::others_all)) ==
        std::filesystem::perms::none);

  Shared named;
  named.brokers = "b:1";
  CHECK(own_of(named).brokers == "b:1");
  CHECK_FALSE(value_of(*client_properties(named), "ssl.key.password"));  // of another cluster
  for (const char* property : {"bootstrap.servers=x:1", "metadata.broker.list=x:1"}) {
    Shared by_property;
    by_property.properties = {property, "linger.ms=5"};
    CHECK(own_of(by_property).brokers == "x:1");
    // All that `profile save` would keep.
    CHECK(all_of(*client_properties(by_property)) == std::vector<std::string>{property, "linger.ms=5"});
    by_property.command_config = home.file("client", "bootstrap.servers=file:1\nssl.key.password=c\n");
    CHECK(own_of(by_property).brokers == "x:1");
    CHECK(value_of(*client_properties(by_property), "ssl.key.password") == "c");  // named by the same command
  }

  const std::vector<Profile> all = profiles();
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "other");
  CHECK_FALSE(all[0].is_current);
  CHECK(all[1].is_current);

  // Not this machine's cluster in place of one that was meant and cannot be found.
  REQUIRE(save_profile("nowhere", {"linger.ms=5"}));
  REQUIRE(use_profile("nowhere"));
  CHECK(client_properties({}).error().exit == Exit::usage);
  CHECK(own_of(named).brokers == "b:1");
  REQUIRE(std::filesystem::remove(home.path() / "naru/profiles/nowhere.properties"));
  REQUIRE_FALSE(client_properties({}));
  CHECK(client_properties({}).error().next_step.find("naru profile use") != std::string::npos);
  CHECK(own_of(named).brokers == "b:1");
  REQUIRE(use_profile(""));
  CHECK(own_of({}).brokers == "localhost:9092");

  REQUIRE(use_profile("test"));
  REQUIRE(remove_profile("test"));
  CHECK(own_of({}).brokers == "localhost:9092");
  CHECK(use_profile("test").error().exit == Exit::usage);
  for (const char* wrong : {"", "../x", ".hidden", "a/b"}) CHECK_FALSE(save_profile(wrong, {}));

  CHECK(command_of<ProfileCommand>({"profile", "save", "x", "-b", "h:1"}).action == ProfileCommand::Action::save);
  CHECK(command_of<ProfileCommand>({"profile", "use"}).name.empty());
}

TEST_CASE("without a home there are no profiles, and nothing is kept anywhere else") {
  const char* const home = std::getenv("HOME");
  const std::string before = home != nullptr ? home : "";
  unsetenv("HOME");
  unsetenv("XDG_CONFIG_HOME");
  CHECK(profiles().empty());
  CHECK_FALSE(current_profile_file());
  CHECK(save_profile("x", {}).error().exit == Exit::refused);
  CHECK(use_profile("").error().exit == Exit::refused);
  CHECK(remove_profile("x").error().exit == Exit::refused);
  setenv("HOME", before.c_str(), 1);
}
