// The handlers, each defined in the file that bears its number and name.
#pragma once
#include "broker/api/handler.h"

namespace broker::api {

// One declaration a line, by key.
extern const ApiHandler produce;                       // 0
extern const ApiHandler fetch;                         // 1
extern const ApiHandler list_offsets;                  // 2
extern const ApiHandler metadata_api;                  // 3
extern const ApiHandler offset_commit;                 // 8
extern const ApiHandler offset_fetch;                  // 9
extern const ApiHandler find_coordinator;              // 10
extern const ApiHandler join_group;                    // 11
extern const ApiHandler heartbeat;                     // 12
extern const ApiHandler leave_group;                   // 13
extern const ApiHandler sync_group;                    // 14
extern const ApiHandler describe_groups;               // 15
extern const ApiHandler list_groups;                   // 16
extern const ApiHandler api_versions;                  // 18
extern const ApiHandler create_topics;                 // 19
extern const ApiHandler delete_topics;                 // 20
extern const ApiHandler delete_records;                // 21
extern const ApiHandler init_producer_id;              // 22
extern const ApiHandler offset_for_leader_epoch;       // 23
extern const ApiHandler describe_acls;                 // 29
extern const ApiHandler describe_configs;              // 32
extern const ApiHandler alter_configs;                 // 33
extern const ApiHandler describe_log_dirs;             // 35
extern const ApiHandler create_partitions;             // 37
extern const ApiHandler delete_groups;                 // 42
extern const ApiHandler elect_leaders;                 // 43
extern const ApiHandler incremental_alter_configs;     // 44
extern const ApiHandler alter_partition_reassignments;  // 45
extern const ApiHandler list_partition_reassignments;  // 46
extern const ApiHandler offset_delete;                 // 47
extern const ApiHandler describe_quorum;               // 55
extern const ApiHandler describe_cluster;              // 60
extern const ApiHandler unregister_broker;             // 64
extern const ApiHandler describe_topic_partitions;     // 75
extern const ApiHandler add_raft_voter;                // 80
extern const ApiHandler remove_raft_voter;             // 81

}  // namespace broker::api
