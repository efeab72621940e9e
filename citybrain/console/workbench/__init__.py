"""The desk 事件分拨台: queue, map and case beside each other, its filters, views and exports, and the wall."""
