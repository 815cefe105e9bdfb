// A directory of a test's own, removed with all that lies in it when the test is over.
#pragma once
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace test_support {

class TemporaryDirectory {
 public:
  TemporaryDirectory() : TemporaryDirectory("test") {}
  // `purpose` is in its name, for who finds one that a killed test left.
  explicit TemporaryDirectory(const std::string& purpose)
      : path_((std::filesystem::temp_directory_path() / ("naru-" + purpose + "-XXXXXX")).string()) {
    if (::mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), path_);
  }
  ~TemporaryDirectory() {
    std::error_code ignored;  // what cannot be removed fails no test
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // The path of what lies, or will lie, in it.
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace test_support
