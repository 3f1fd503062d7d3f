"""SegQNAS: U-Net-shaped chains of cells for segmentation."""
