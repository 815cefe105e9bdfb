// ISA-L's CRC32C for naru_static: Debian has no archive of it. librdkafka, which is linked anyway, carries Mark Adler's
// (three interleaved streams of the CPU's instruction, tables where it has none); its archive lets us at it.
#include <cstddef>
#include <cstdint>

extern "C" {
uint32_t rd_crc32c(uint32_t crc, const void* bytes, size_t size);  // complements on the way in and out
void rd_crc32c_global_init();
unsigned int crc32_iscsi(unsigned char* bytes, int size, unsigned int running);  // does not
}

unsigned int crc32_iscsi(unsigned char* bytes, int size, unsigned int running) {
  [[maybe_unused]] static const bool ready = (rd_crc32c_global_init(), true);
  return ~rd_crc32c(~running, bytes, static_cast<size_t>(size));
}
