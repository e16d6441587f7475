#if CommandLineTool
  import ArgumentParser
  import AsyncRedisLock

  /// A duration as in a URL: `500ms`, `30s`, `5m`, `2h`, `7d`; a plain number is in seconds, as for flock(1).
  struct DurationArgument: ExpressibleByArgument {
    let duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    init?(argument: String) {
      guard let duration = Duration(text: argument) else { return nil }
      self.duration = duration
    }

    var defaultValueDescription: String { duration.text }
  }
#endif
