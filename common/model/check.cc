#include "common/model/check.h"

#include <cstdio>
#include <cstdlib>

namespace common::model {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::fprintf(stderr, "%s:%d: NARU_CHECK(%s) failed. %s\n", file, line, condition, message.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace common::model
