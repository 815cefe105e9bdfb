// What there is to do before a failed NARU_CHECK says why and ends the process. Apart from check.h, which everybody
// includes.
#pragma once

namespace common::model {

// Called by the thread whose check failed; must come back soon, whatever state the process is in. The last one set.
void before_check_fails(void (*hook)());

}  // namespace common::model
