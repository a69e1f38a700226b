"""The layouts of exports: one module each."""

from flawsmith.core.domain.export_layouts import ExportLayout
from flawsmith.worker.exports.layouts.coco import CocoWriter
from flawsmith.worker.exports.layouts.imagefolder import ImageFolderWriter
from flawsmith.worker.exports.layouts.layout import LayoutWriter
from flawsmith.worker.exports.layouts.mvtec import MvtecWriter
from flawsmith.worker.exports.layouts.voc import VocWriter
from flawsmith.worker.exports.layouts.yolo import YoloWriter

WRITERS: dict[ExportLayout, type[LayoutWriter]] = {
    "imagefolder": ImageFolderWriter,
    "mvtec": MvtecWriter,
    "coco": CocoWriter,
    "yolo": YoloWriter,
    "voc": VocWriter,
}
