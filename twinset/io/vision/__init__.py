"""Folders of annotated images: COCO, YOLO, Pascal VOC, masks and WebDataset shards."""
