#include "broker/group/record.h"

namespace broker::group {

bool operator==(const StoredMember& a, const StoredMember& b) {
  return a.member_id == b.member_id && a.instance_id == b.instance_id && a.client_id == b.client_id &&
         a.client_host == b.client_host && a.rebalance_timeout == b.rebalance_timeout &&
         a.session_timeout == b.session_timeout && a.subscription.text() == b.subscription.text() &&
         a.assignment.text() == b.assignment.text();
}

const std::string& group_of(const GroupRecord& record) {
  return std::visit([](const auto& r) -> const std::string& { return r.group; }, record);
}

}  // namespace broker::group
