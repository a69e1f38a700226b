"""What a sampling worker counts and measures."""

from prometheus_client import Counter, Histogram

from flawsmith.core.domain.micro_batch import MICRO_BATCH

_PASS_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds
_WAIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # seconds

IMAGES = Counter("flawsmith_images_generated_total", "Images made by this worker", ["model", "purpose"])
FAILURES = Counter("flawsmith_sampling_failures_total", "Micro-batches that this worker failed to make", ["model"])
BELOW_FLOOR = Counter(
    "flawsmith_images_below_floor_total", "Images that are below their version's quality floor", ["model"]
)
REFILLS = Counter(
    "flawsmith_pool_refills_total", "Refills of image pools, by whether images passed the quality floor", ["outcome"]
)
BATCH_IMAGES = Histogram(
    "flawsmith_sampling_batch_images",
    "Images in a micro-batch, those for image pools included",
    buckets=(1, 2, 4, 8, 12, MICRO_BATCH),
)
WAITING_SECONDS = Histogram(
    "flawsmith_sampling_waiting_seconds",
    "Time that the first image of a micro-batch waited for a worker, in seconds",
    buckets=_WAIT_BUCKETS,
)
PASS_SECONDS = Histogram(
    "flawsmith_sampling_pass_seconds",
    "Time of a generator's pass over one micro-batch, in seconds",
    buckets=_PASS_BUCKETS,
)
ENCODING_SECONDS = Histogram(
    "flawsmith_sampling_encoding_seconds",
    "Time to score and encode the images of one micro-batch, in seconds",
    buckets=_PASS_BUCKETS,
)
REFILLED, ALL_BELOW_FLOOR = REFILLS.labels("filled"), REFILLS.labels("below_floor")
