"""Figures and examples of a report as SVG and HTML: columns, pairs, clusters, images, texts and rows."""
