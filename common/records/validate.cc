#include "common/records/validate.h"
