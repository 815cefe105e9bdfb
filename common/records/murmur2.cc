#include "common/records/batch.h"
