#include "broker/api/table.h"

#include <array>

namespace broker::api {
namespace {

// One row a line, by key.
constexpr std::array table = {
    &produce,
    &fetch,
    &list_offsets,
    &metadata_api,
    &offset_commit,
    &offset_fetch,
    &find_coordinator,
    &join_group,
    &heartbeat,
    &leave_group,
    &sync_group,
    &describe_groups,
    &list_groups,
    &api_versions,
    &create_topics,
    &delete_topics,
    &delete_records,
    &init_producer_id,
    &offset_for_leader_epoch,
    &describe_acls,
    &describe_configs,
    &alter_configs,
    &describe_log_dirs,
    &create_partitions,
    &delete_groups,
    &elect_leaders,
    &incremental_alter_configs,
    &alter_partition_reassignments,
    &list_partition_reassignments,
    &offset_delete,
    &describe_quorum,
    &describe_cluster,
    &unregister_broker,
    &describe_topic_partitions,
    &add_raft_voter,
    &remove_raft_voter,
};

}  // namespace

std::span<const ApiHandler* const> api_table() {
  return table;
}

}  // namespace broker::api
