"""MVTec AD (Bergmann et al. 2019, doi:10.1109/CVPR.2019.00982): images of defects with a mask each.

The layout's ``train/good`` is for photographs of good parts, which a generator does not make.
"""

from flawsmith.core.store.images import encode_png
from flawsmith.worker.exports.layouts.layout import LayoutWriter, Row, row_of
from flawsmith.worker.exports.mask_images import mask_image, mask_text
from flawsmith.worker.exports.records import ExportRecord


class MvtecWriter(LayoutWriter):
    """``steel-2/test/scratches/17.png`` and ``steel-2/ground_truth/scratches/17_mask.png``, 0 or 255."""

    def write(self, record: ExportRecord, split: str | None) -> tuple[dict[str, bytes], Row]:
        category, folder = self.title.replace("@", "-"), self.folders[record.defect_type]
        file = f"{category}/test/{folder}/{record.name}.png"
        mask = f"{category}/ground_truth/{folder}/{record.name}_mask.png"
        png = encode_png(mask_image(record), mask_text(record), source_type=self.source_type)
        return {file: record.png, mask: png}, row_of(record, file, None, mask=mask)
