// The error codes in an answer, wherever its schema has them: for the counters of errors by API. What a response is
// made of is known when it is compiled, so parts that hold no error code cost nothing, and no list of fields can grow
// old.
#pragma once
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/pfr.hpp>

#include "common/model/error_code.h"
#include "common/model/types.h"

namespace broker::api {

namespace error_counts_detail {

template <class T>
struct Element {
  using type = void;
};
template <class T>
struct Element<std::vector<T>> {
  using type = T;
};
template <class T>
struct Element<std::optional<T>> {
  using type = T;
};

template <class T>
consteval bool holds_errors() {
  using E = typename Element<T>::type;
  if constexpr (std::is_same_v<T, common::model::ErrorCode>) {
    return true;
  } else if constexpr (!std::is_void_v<E>) {
    return holds_errors<E>();
  } else if constexpr (std::is_class_v<T> && std::is_aggregate_v<T> && !std::is_same_v<T, common::model::Uuid>) {
    return []<size_t... I>(std::index_sequence<I...>) {
      return (... || holds_errors<boost::pfr::tuple_element_t<I, T>>());
    }(std::make_index_sequence<boost::pfr::tuple_size_v<T>>());
  } else {
    return false;
  }
}

}  // namespace error_counts_detail

// Calls `f(code)` for every error code in `value`, NONE among them.
template <class T, class F>
void for_each_error(const T& value, const F& f) {
  using error_counts_detail::holds_errors;
  if constexpr (std::is_same_v<T, common::model::ErrorCode>) {
    f(value);
  } else if constexpr (holds_errors<T>()) {
    if constexpr (!std::is_void_v<typename error_counts_detail::Element<T>::type>) {
      if constexpr (requires { value.has_value(); }) {
        if (value) for_each_error(*value, f);
      } else {
        for (const auto& element : value) for_each_error(element, f);
      }
    } else {
      boost::pfr::for_each_field(value, [&f](const auto& field) { for_each_error(field, f); });
    }
  }
}

}  // namespace broker::api
