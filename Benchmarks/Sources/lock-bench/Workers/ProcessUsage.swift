import Foundation

/// The resources that this process has used so far.
struct ProcessUsage {
  let cpuSeconds: Double

  static func now() -> ProcessUsage {
    #if canImport(Darwin)
      let own = RUSAGE_SELF
    #else
      let own = CInt(RUSAGE_SELF.rawValue)
    #endif
    var usage = rusage()
    unsafe getrusage(own, &usage)
    return ProcessUsage(cpuSeconds: usage.ru_utime.seconds + usage.ru_stime.seconds)
  }

  /// The peak memory of the process.
  static func peakBytes() -> Int {
    #if os(Linux)
      // Not taken from ru_maxrss, which a process inherits from its parent.
      let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
      let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
      let words = line?.split(whereSeparator: \.isWhitespace) ?? []
      return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * 1024
    #else
      var usage = rusage()
      unsafe getrusage(RUSAGE_SELF, &usage)
      return usage.ru_maxrss
    #endif
  }
}

extension timeval {
  fileprivate var seconds: Double { Double(tv_sec) + Double(tv_usec) / 1_000_000 }
}
