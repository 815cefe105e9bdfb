// Who is named several times in a request is answered once (R109). A client's question is a set; without this a request
// of some kilobytes that names one thing again and again is answered with gigabytes, which nothing bounds: what is
// asked for is large, but all of it together is no more than the broker holds anyway.
#pragma once
#include <set>
#include <type_traits>
#include <vector>

#include "common/model/mutant.h"

namespace broker::api {

// Leaves the first of all elements with the same key.
template <class T, class Key>
void keep_first_mentions(std::vector<T>& list, Key key_of) {
  if (common::model::mutant<"R109-answers-each-mention">()) return;
  std::set<std::decay_t<decltype(key_of(list.front()))>> seen;
  std::erase_if(list, [&](const T& one) { return !seen.insert(key_of(one)).second; });
}

}  // namespace broker::api
