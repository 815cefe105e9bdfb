#include "common/disk/kernel_disk.h"
