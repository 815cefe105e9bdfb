#include "common/net/file_part.h"

#include <utility>

namespace common::net {

namespace {

// What keeps the bytes is the deleter of their owner: so a Buffer needs no member of which all but a few have no use.
struct Keeper {
  FilePart part;
  void operator()(const void*) const {}
};

}  // namespace

model::Buffer buffer_of(FilePart part) {
  const model::BytesView view = part.piece->view().first(part.size);
  std::shared_ptr<const void> owner(static_cast<const void*>(view.data()), Keeper{std::move(part)});
  return {std::move(owner), view};
}

const FilePart* file_part_of(const model::Buffer& buffer) {
  const Keeper* keeper = std::get_deleter<Keeper>(buffer.owner());
  return keeper == nullptr ? nullptr : &keeper->part;
}

}  // namespace common::net
