// ControllerClient over this node's runtime and its links to the other nodes: finds the active controller, asks it, and
// asks again until the deadline when it changes, also if the former one says nothing more.
//
// Asking again brings about what was asked for, once: those that are not repeatable by nature are made so. New topics
// carry ids of our choosing, so that we recognize our own; a topic that we asked to delete and that is gone, or
// partitions that are there in the number we asked for, or a broker that is registered no more, count as done once an
// answer was lost.
//
// call(): any shard. The rest lives on the controller's shard.
#pragma once
#include <memory>
#include <set>

#include "common/model/random.h"
#include "controller/quorum/controller_client.h"
#include "controller/quorum/controller_links.h"

namespace controller::quorum {

class ForwardingClient final : public ControllerClient {
 public:
  // References outlive the client and every call.
  ForwardingClient(common::Shard& home, ControllerRuntime& runtime, ControllerLinks& links, BrokerId self,
                   common::model::Random& random);
  ~ForwardingClient() override;

  common::Awaitable<ControllerAnswer> call(common::Shard& here, ControllerRequest request, Instant deadline,
                                           RequestOrigin origin) override;
  // The same without a coroutine, from the controller's shard.
  void ask(ControllerRequest request, Instant deadline, RequestOrigin origin,
           std::function<void(ControllerAnswer)> done);

 private:
  struct Attempt;
  void choose_topic_ids(ControllerRequest& request);
  void start(const std::shared_ptr<Attempt>& attempt);
  void on_leader_change();
  void on_reply(const std::shared_ptr<Attempt>& attempt, Reply reply);
  void on_lost(const std::shared_ptr<Attempt>& attempt);
  void again_later(const std::shared_ptr<Attempt>& attempt);
  void finish(const std::shared_ptr<Attempt>& attempt, Reply reply);

  common::Shard& home_;
  ControllerRuntime& runtime_;
  ControllerLinks& links_;
  const BrokerId self_;
  common::model::Random& random_;
  std::set<std::shared_ptr<Attempt>> unanswered_;
  std::shared_ptr<bool> alive_;
};

}  // namespace controller::quorum
