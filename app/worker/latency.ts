// latency.ts: what log2 buckets of latencies can say: percentiles, and where a bucket begins.
//
// Bucket 0 holds 0 ticks; bucket b holds 2^(b-1) up to 2^b ticks; the last is open (driver/protocol/control.h).

export function bucketBegin(bucket: number): number {
  return bucket === 0 ? 0 : 2 ** (bucket - 1)
}

/** The latency in ticks below which a part of all lies, interpolated within its bucket; NaN when there is none. */
export function percentile(buckets: ArrayLike<number>, part: number): number {
  let total = 0
  for (let b = 0; b < buckets.length; b++) total += buckets[b]!
  if (total === 0) return Number.NaN
  const wanted = total * part
  let below = 0
  for (let b = 0; b < buckets.length; b++) {
    const here = buckets[b]!
    if (here > 0 && below + here >= wanted) {
      if (b === 0) return 0
      // Latencies spread over orders of magnitude: within a bucket go up in powers, not in steps.
      return bucketBegin(b) * 2 ** ((wanted - below) / here)
    }
    below += here
  }
  return bucketBegin(buckets.length - 1)
}
