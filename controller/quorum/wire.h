// Small conversions between our values and Protobuf fields, shared by the codecs of this folder. Decoding trusts
// nothing: a field of the wrong shape marks the reader as failed, and whoever decodes asks once at the end.
//
// Thread-compatible.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/model/result.h"
#include "controller/metadata/records.h"
#include "proto/cluster/metadata.pb.h"

namespace controller::quorum::wire {

namespace pb = naru::cluster;
using common::model::BrokerId;
using common::model::Uuid;

inline std::string bytes_of(const Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

template <class Field>
void put_brokers(Field* field, const std::vector<BrokerId>& brokers) {
  field->Reserve(static_cast<int>(brokers.size()));
  for (const BrokerId id : brokers) field->Add(id.value);
}
template <class Field>
std::vector<BrokerId> get_brokers(const Field& field) {
  std::vector<BrokerId> brokers;
  brokers.reserve(static_cast<size_t>(field.size()));
  for (const int32_t id : field) brokers.push_back(BrokerId{id});
  return brokers;
}

class Reader {
 public:
  Uuid uuid(const std::string& bytes) {
    Uuid id;
    if (bytes.size() != id.bytes.size()) {
      fail("an id that is not 16 bytes long");
      return id;
    }
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(id.bytes.data()));
    return id;
  }
  uint16_t port(uint32_t value) {
    if (value > 65535) fail("a port beyond 65535");
    return static_cast<uint16_t>(value);
  }
  int16_t small(int32_t value) {
    if (value < INT16_MIN || value > INT16_MAX) fail("a number beyond 16 bits");
    return static_cast<int16_t>(value);
  }
  metadata::RecoveryState recovery_state(uint32_t value) {
    if (value > 1) fail("an unknown recovery state");
    return value == 1 ? metadata::RecoveryState::recovering : metadata::RecoveryState::recovered;
  }
  void fail(std::string why) {
    if (!why_) why_ = std::move(why);
  }
  [[nodiscard]] bool failed() const { return why_.has_value(); }
  [[nodiscard]] common::model::Unexpected error(std::string_view what) const {
    return common::model::fail(common::model::ErrorCode::corrupt_message,
                               fmt::format("{}: {}", what, why_.value_or("")));
  }

 private:
  std::optional<std::string> why_;
};

inline void put_listener(pb::BrokerListener* to, const metadata::Listener& from) {
  to->set_name(from.name);
  to->set_host(from.host);
  to->set_port(from.port);
  to->set_security_protocol(static_cast<int32_t>(from.security_protocol));
}
inline metadata::Listener get_listener(const pb::BrokerListener& from, Reader& in) {
  if (from.security_protocol() < 0 || from.security_protocol() > 3) in.fail("an unknown security protocol");
  return {from.name(), from.host(), in.port(from.port()),
          static_cast<metadata::SecurityProtocol>(from.security_protocol())};
}
inline void put_endpoint(pb::ClusterEndpoint* to, const metadata::ClusterEndpoint& from) {
  to->set_host(from.host);
  to->set_port(from.port);
}
inline metadata::ClusterEndpoint get_endpoint(const pb::ClusterEndpoint& from, Reader& in) {
  return {from.host(), in.port(from.port())};
}
template <class Field>
void put_features(Field* field, const std::map<std::string, metadata::FeatureRange>& features) {
  for (const auto& [name, range] : features) {
    auto* to = field->Add();
    to->set_name(name);
    to->set_min(range.min);
    to->set_max(range.max);
  }
}
template <class Field>
std::map<std::string, metadata::FeatureRange> get_features(const Field& field, Reader& in) {
  std::map<std::string, metadata::FeatureRange> features;
  for (const auto& f : field) features.emplace(f.name(), metadata::FeatureRange{in.small(f.min()), in.small(f.max())});
  return features;
}

}  // namespace controller::quorum::wire
