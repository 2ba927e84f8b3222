"""The service as typed calls: endpoints, paging, retries, rate limits, error shapes. The only layer that sends."""
