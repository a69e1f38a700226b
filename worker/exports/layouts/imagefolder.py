"""A folder of images for each defect type, as torchvision's ImageFolder reads them; with splits, in a folder each."""

from flawsmith.worker.exports.layouts.layout import LayoutWriter, Row, row_of
from flawsmith.worker.exports.records import ExportRecord


class ImageFolderWriter(LayoutWriter):
    """``scratches/17.png``, or ``train/scratches/17.png``. It has no place for masks: each folder would be a type."""

    def write(self, record: ExportRecord, split: str | None) -> tuple[dict[str, bytes], Row]:
        folder = self.folders[record.defect_type]
        file = "/".join([*([split] if split else []), folder, f"{record.name}.png"])
        return {file: record.png}, row_of(record, file, split)
