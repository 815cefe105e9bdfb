#include "cli/verify/transactions.h"

#include <algorithm>

namespace cli::verify {
namespace {

// Tarjan's strongly connected components, with its own stack: histories have more transactions than a thread has
// frames.
class Components {
 public:
  Components(size_t nodes, std::vector<std::pair<int32_t, int32_t>> edges) : nodes_(nodes), edges_(std::move(edges)) {
    std::ranges::sort(edges_);
    edges_.erase(std::unique(edges_.begin(), edges_.end()), edges_.end());
    first_edge_.assign(nodes + 1, 0);
    for (const auto& [from, to] : edges_) ++first_edge_[static_cast<size_t>(from) + 1];
    for (size_t n = 0; n < nodes; ++n) first_edge_[n + 1] += first_edge_[n];
    order_.assign(nodes, -1);
    low_.assign(nodes, 0);
    on_stack_.assign(nodes, false);
  }
  std::vector<std::vector<int32_t>> find() {
    for (size_t n = 0; n < nodes_; ++n) {
      if (order_[n] < 0) visit_from(static_cast<int32_t>(n));
    }
    return std::move(found_);
  }

 private:
  struct Step {
    size_t node;
    size_t edge;
  };
  void enter(int32_t node) {
    const auto n = static_cast<size_t>(node);
    order_[n] = low_[n] = next_++;
    stack_.push_back(node);
    on_stack_[n] = true;
    path_.push_back({n, first_edge_[n]});
  }
  void visit_from(int32_t root) {
    enter(root);
    while (!path_.empty()) {
      Step& step = path_.back();
      if (step.edge < first_edge_[step.node + 1]) {
        const int32_t to = edges_[step.edge++].second;
        const auto t = static_cast<size_t>(to);
        if (order_[t] < 0) {
          enter(to);
        } else if (on_stack_[t]) {
          low_[step.node] = std::min(low_[step.node], order_[t]);
        }
        continue;
      }
      leave(step.node);
    }
  }
  void leave(size_t node) {
    path_.pop_back();
    if (!path_.empty()) low_[path_.back().node] = std::min(low_[path_.back().node], low_[node]);
    if (low_[node] != order_[node]) return;
    std::vector<int32_t> component;
    int32_t member = -1;
    do {
      member = stack_.back();
      stack_.pop_back();
      on_stack_[static_cast<size_t>(member)] = false;
      component.push_back(member);
    } while (member != static_cast<int32_t>(node));
    if (component.size() > 1) found_.push_back(std::move(component));
  }

  size_t nodes_;
  std::vector<std::pair<int32_t, int32_t>> edges_;
  std::vector<size_t> first_edge_;
  std::vector<int32_t> order_, low_, stack_;
  std::vector<bool> on_stack_;
  std::vector<Step> path_;
  std::vector<std::vector<int32_t>> found_;
  int32_t next_ = 0;
};

}  // namespace

bool Transactions::began(int64_t id, int32_t consumer) {
  const auto index = static_cast<int32_t>(all_.size());
  if (!by_id_.try_emplace(id, index).second) return false;
  all_.push_back({.id = id, .consumer = consumer});
  if (consumer >= 0) by_consumer_[consumer] = index;
  return true;
}

int32_t Transactions::find(int64_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? -1 : it->second;
}

void Transactions::ended(int32_t index, State state) {
  Transaction& transaction = (*this)[index];
  transaction.state = state;
  if (state == State::committing || transaction.consumer < 0) return;
  const auto it = by_consumer_.find(transaction.consumer);
  if (it != by_consumer_.end() && it->second == index) by_consumer_.erase(it);
}

int32_t Transactions::of_consumer(int32_t consumer) const {
  const auto it = by_consumer_.find(consumer);
  return it == by_consumer_.end() ? -1 : it->second;
}

void Transactions::read(int32_t consumer, int32_t writer) {
  const int32_t reader = of_consumer(consumer);
  if (reader < 0 || reader == writer) return;
  if (!edges_.empty() && edges_.back() == std::pair(writer, reader)) return;
  edges_.emplace_back(writer, reader);
}

std::vector<std::vector<int64_t>> Transactions::cycles() const {
  if (edges_.empty()) return {};
  std::vector<std::vector<int64_t>> found;
  for (const std::vector<int32_t>& component : Components(all_.size(), edges_).find()) {
    std::vector<int64_t>& ids = found.emplace_back();
    for (const int32_t index : component) ids.push_back(all_[static_cast<size_t>(index)].id);
    std::ranges::sort(ids);
  }
  return found;
}

}  // namespace cli::verify
