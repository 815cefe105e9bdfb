// One life of an operating system process: its shards, its clock, and whether it runs. When it ends, whatever it still
// had to do is gone.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "common/shard.h"
#include "sim/world.h"

namespace sim {

// A machine's clocks: the monotonic one drifts and starts anew with each boot; the wall clock can be stepped.
class MachineClock final : public common::Clock {
 public:
  MachineClock(const World& world, Instant base, double drift) : world_(world), base_(base), since_(world.now()), drift_(drift) {}

  [[nodiscard]] Instant now() const override { return base_ + scaled(world_.now() - since_); }
  [[nodiscard]] common::model::TimestampMs wall_now() const override;
  // What a clock says that is right.
  [[nodiscard]] static common::model::TimestampMs right_wall_time(const World& world);
  void step_wall(Duration by) { wall_offset_ += by; }
  // When the world's clock will be as far as this one at `when`.
  [[nodiscard]] Instant world_time(Instant when) const;

 private:
  [[nodiscard]] Duration scaled(Duration d) const {
    return d + Duration(static_cast<int64_t>(static_cast<double>(d.count()) * drift_));
  }
  const World& world_;
  const Instant base_;
  const Instant since_;
  const double drift_;
  Duration wall_offset_{0};
};

class SimShard;

class Process : public std::enable_shared_from_this<Process> {
 public:
  // `number` names the machine in the trace.
  Process(World& world, std::shared_ptr<MachineClock> clock, uint32_t number);
  ~Process();

  SimShard& add_shard(int id);
  [[nodiscard]] uint32_t number() const { return number_; }
  [[nodiscard]] World& world() const { return world_; }
  [[nodiscard]] MachineClock& clock() const { return *clock_; }

  [[nodiscard]] bool is_alive() const { return alive_; }
  [[nodiscard]] bool is_paused() const { return paused_; }
  // Once.
  [[nodiscard]] bool is_new_to_world() { return std::exchange(new_to_world_, false); }
  // From now on nothing runs; the objects on its shards may be destroyed, then this.
  void end();
  // Destroys the loops with all that waits in them: after everything that lived on them.
  void drop_shards();
  void pause() { paused_ = true; }
  void resume();
  void defer(EventId id) { deferred_.push_back(id); }

  // Runs whatever the shards have to do, one piece at a time, in an order drawn by the seed.
  void run_ready();
  // Runs `f` as if on that shard, for looking at what lives there.
  template <class F>
  static void look(SimShard& shard, F f);

 private:
  World& world_;
  const std::shared_ptr<MachineClock> clock_;
  const uint32_t number_;
  std::vector<std::unique_ptr<SimShard>> shards_;
  std::vector<EventId> deferred_;
  bool new_to_world_ = true;
  bool alive_ = true;
  bool paused_ = false;
};

class SimShard final : public common::Shard {
 public:
  SimShard(int id, Process& process);
  ~SimShard() override;

  [[nodiscard]] bool is_current() const override { return current == this; }
  void post(std::function<void()> f) override;
  [[nodiscard]] common::TimerHandle call_at(Instant when, std::function<void()> f) override;
  [[nodiscard]] boost::asio::io_context& io_context() override { return io_; }

  bool run_one();  // false: nothing to do
  void drop_work() { io_.drop_work(); }
  [[nodiscard]] Process& process() const { return process_; }

  static SimShard* current;

 private:
  // Lets go of what waits in it, and stays good for whoever posts once more while everything is taken apart.
  class Loop : public boost::asio::io_context {
   public:
    Loop() : io_context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE) {}
    void drop_work() { shutdown(); }
  };
  Process& process_;
  Loop io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
};

template <class F>
void Process::look(SimShard& shard, F f) {
  SimShard* const before = std::exchange(SimShard::current, &shard);
  f();
  SimShard::current = before;
}

}  // namespace sim
