// What there is to do before a failed NARU_CHECK says why and ends the process. Apart from check.h, which everybody
// includes.
#pragma once

namespace common::model {

// Called by the thread whose check failed; must come back soon, whatever state the process is in. The last one set.
void before_check_fails(void (*hook)());

// Whether a short write would get through. Who reads standard error may stand still, and a process that is at its end
// must not go on for as long as that: waits for a second at most. Allocates nothing.
bool takes_words(int descriptor);

}  // namespace common::model
