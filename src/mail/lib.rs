//! Floor 2: the mail itself: policy, queue, delivery
