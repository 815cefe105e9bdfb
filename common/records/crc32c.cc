#include "common/records/crc32c.h"
