#include "common/records/compression.h"
