// LZ4 block compression, used for table blocks.
#include <lz4.h>
