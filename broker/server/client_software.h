// Which client libraries are connected, in which versions (KIP-511): counted for the time of a connection.
//
// Names come from clients: of a shard's connections at most so many different ones are told apart, and what goes beyond
// counts as "other".
//
// Lives on one shard.
#pragma once
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace broker::server {

class SoftwareTable {
 public:
  struct Key {
    std::string listener;
    std::string name;
    std::string version;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  static constexpr size_t keys_max = 64;
  static constexpr size_t text_max = 64;  // of a name or a version

  // What `key` is counted as.
  Key enter(Key key) {
    const bool is_long = key.name.size() > text_max || key.version.size() > text_max;
    if (is_long || (counts_.size() >= keys_max && !counts_.contains(key))) key.name = key.version = "other";
    ++counts_[key];
    return key;
  }
  void leave(const Key& key) {
    const auto found = counts_.find(key);
    if (found != counts_.end() && --found->second == 0) counts_.erase(found);
  }
  [[nodiscard]] const std::map<Key, uint64_t>& counts() const { return counts_; }

 private:
  std::map<Key, uint64_t> counts_;
};

// One connection's place in the table, as long as this lives; "unknown" until the client has said what it is.
class ClientSoftware {
 public:
  ClientSoftware(std::shared_ptr<SoftwareTable> table, const std::string& listener)
      : table_(std::move(table)), key_(table_->enter({listener, "unknown", "unknown"})) {}
  ~ClientSoftware() { table_->leave(key_); }
  ClientSoftware(const ClientSoftware&) = delete;
  ClientSoftware& operator=(const ClientSoftware&) = delete;

  void set(std::string_view name, std::string_view version) {
    table_->leave(key_);
    key_ = table_->enter({key_.listener, std::string(name), std::string(version)});
  }
  // As it is counted.
  [[nodiscard]] const std::string& name() const { return key_.name; }

 private:
  const std::shared_ptr<SoftwareTable> table_;
  SoftwareTable::Key key_;
};

}  // namespace broker::server
