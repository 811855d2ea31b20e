use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

/// How much may go at once after a pause, as time at the full rate: long enough for timers of a millisecond, short enough
/// that no switch on the way must hold it.
const BURST: Duration = Duration::from_millis(20);

/// Holds bytes to a rate, for all sessions together. Who waits first goes first. The rate can change while they wait.
#[derive(Debug)]
pub struct Bucket {
    /// Bytes a second; none for no limit.
    rate: watch::Sender<Option<f64>>,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    /// Bytes that may go now. Below zero is debt that must be paid off first.
    bytes: f64,
    at: Instant,
}

impl Bucket {
    /// Holds to so many Mbit/s (10^6 bits a second); `None` for no limit, and 0 means the same, as in the hosts file.
    pub fn new(mbps: Option<u64>) -> Self {
        let level = Level { bytes: 0.0, at: Instant::now() };
        Self { rate: watch::Sender::new(bytes_per_second(mbps)), level: Mutex::new(level) }
    }

    /// Changes the rate, for those who wait too.
    pub fn set(&self, mbps: Option<u64>) {
        self.rate.send_replace(bytes_per_second(mbps));
    }

    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.rate.borrow().is_some()
    }

    /// Waits until so many bytes may go. Who gives up waiting has taken nothing.
    pub async fn take(&self, bytes: u64) {
        if !self.is_limited() {
            return;
        }
        let mut rates = self.rate.subscribe();
        let mut level = self.level.lock().await;
        loop {
            let Some(rate) = *rates.borrow_and_update() else { return };
            level.refill(rate);
            if level.bytes >= 0.0 {
                // More than there is makes debt, so that pieces larger than a burst pass too.
                level.bytes -= bytes as f64;
                return;
            }
            let wait = Duration::from_secs_f64(-level.bytes / rate);
            // The sender lives in `self`: only a new rate or the time ends this.
            let _ = timeout(wait, rates.changed()).await;
        }
    }
}

impl Level {
    fn refill(&mut self, rate: f64) {
        let now = Instant::now();
        let earned = rate * (now - self.at).as_secs_f64();
        self.at = now;
        self.bytes = (self.bytes + earned).min(rate * BURST.as_secs_f64());
    }
}

fn bytes_per_second(mbps: Option<u64>) -> Option<f64> {
    mbps.filter(|mbps| *mbps > 0).map(|mbps| mbps as f64 * 1e6 / 8.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn seconds_for(bucket: &Bucket, takes: u32, bytes: u64) -> f64 {
        let start = Instant::now();
        for _ in 0..takes {
            bucket.take(bytes).await;
        }
        start.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_for_small_and_large_pieces() {
        for (mbps, takes, bytes) in [(8, 1000, 1000), (8, 100, 1 << 20), (1000, 1000, 64 << 10), (1, 3, 1 << 20)] {
            let seconds = seconds_for(&Bucket::new(Some(mbps)), takes, bytes).await;
            let expected = f64::from(takes - 1) * bytes as f64 * 8.0 / (mbps as f64 * 1e6);
            assert!((seconds - expected).abs() < 0.05 * expected + 0.03, "{mbps}: {seconds} instead of {expected}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_never_waits() {
        for none in [None, Some(0)] {
            assert!(seconds_for(&Bucket::new(none), 1000, 1 << 30).await < 1e-9);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_earns_one_burst_and_no_more() {
        let bucket = Bucket::new(Some(8));
        tokio::time::advance(Duration::from_hours(1)).await;
        assert!((seconds_for(&bucket, 101, 10_000).await - 1.0).abs() < 0.05);
    }

    #[tokio::test(start_paused = true)]
    async fn several_share_the_rate_and_who_gives_up_takes_nothing() {
        let bucket = Arc::new(Bucket::new(Some(8)));
        let start = Instant::now();
        // Debt for a second, in which nobody else gets any.
        bucket.take(1_000_000).await;
        assert!(timeout(Duration::from_millis(30), bucket.take(1 << 40)).await.is_err());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let bucket = Arc::clone(&bucket);
            tasks.spawn(async move { seconds_for(&bucket, 10, 10_000).await });
        }
        tasks.join_all().await;
        assert!((start.elapsed().as_secs_f64() - 2.0).abs() < 0.05, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_rate_reaches_those_who_wait() {
        let bucket = Arc::new(Bucket::new(Some(1)));
        bucket.take(125_000_000).await;
        let (waiting, start) = (Arc::clone(&bucket), Instant::now());
        let task = tokio::spawn(async move { waiting.take(1).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        bucket.set(None);
        task.await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(1100));
    }
}
