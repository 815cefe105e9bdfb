#include "common/records/producer_state.h"
