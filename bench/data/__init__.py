"""Data: folders of images, the cache, splits, the known data sets, the embedded synthetic faces."""
