"""The arm64 Image with a device tree, as a `Loader`."""

from hv.common.builder import share_nodes  # noqa: F401 (registers a node)
from hv.common.builder.description import Description, Segment
from hv.common.builder.guest_tree import tree_room, write_tree
from hv.common.builder.kernel import place_in
from hv.common.builder.loader import Loader, Placement
from hv.common.lib.fdt_writer import FdtWriter
from hv.common.lib.image import read_image
from hv.common.lib.span import Bytes
from hv.lang import Final, raises, u64


class ImageLoader(Loader):
    def wanted(self) -> str:
        return "arm64 Image; one that is compressed has to be unpacked"

    @raises
    def read(self, description: Description) -> None:
        image = read_image(description.kernel.contents)
        description.image = image
        description.segments[0] = Segment(description.kernel.contents, image.text_offset)
        description.segment_count = 1

    def room(self, description: Description) -> u64:
        return tree_room(description)

    @raises
    def place(self, description: Description) -> Placement:
        return place_in(description.image, description.bank(0), description.ramdisk.bytes, tree_room(description))

    @raises
    def write(self, into: Bytes, description: Description, placement: Placement) -> u64:
        tree = FdtWriter()
        tree.init(into)
        return write_tree(tree, description, placement)


image_loader: Final = ImageLoader()
