// Transactions of a history: whether each is visible as a whole or not at all, and whether any read from each other in
// a circle (Adya's G1c over write-read edges; the order of writes within a partition is no edge, as Kafka interleaves
// them). Thread-compatible.
#pragma once
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cli::verify {

class Transactions {
 public:
  enum class State : uint8_t { open, committing, committed, aborted, unknown };
  struct Transaction {
    int64_t id = 0;  // the caller's
    int64_t total = 0;
    int64_t visible = 0;
    int32_t consumer = -1;  // whose reads belong to it
    State state = State::open;
  };

  // False if it is known already.
  bool began(int64_t id, int32_t consumer);
  // The index of a transaction that runs, -1 otherwise.
  [[nodiscard]] int32_t find(int64_t id) const;
  Transaction& operator[](int32_t index) { return all_[static_cast<size_t>(index)]; }
  [[nodiscard]] const std::vector<Transaction>& all() const { return all_; }
  void ended(int32_t index, State state);
  // `consumer` was given a record of transaction `writer`.
  void read(int32_t consumer, int32_t writer);
  // The index of the one that runs for this consumer, -1 if none.
  [[nodiscard]] int32_t of_consumer(int32_t consumer) const;
  // Groups of transactions that reach each other; each with its members' ids.
  [[nodiscard]] std::vector<std::vector<int64_t>> cycles() const;

 private:
  std::vector<Transaction> all_;
  std::unordered_map<int64_t, int32_t> by_id_;
  std::unordered_map<int32_t, int32_t> by_consumer_;
  std::vector<std::pair<int32_t, int32_t>> edges_;  // writer -> reader
};

}  // namespace cli::verify
