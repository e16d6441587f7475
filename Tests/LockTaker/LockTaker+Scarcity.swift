import AsyncRedisLock
import Foundation
import Synchronization

private let interruptions = Atomic<Int>(0)

/// Ways for the system to trouble a process.
extension LockTaker {
  /// Makes a timer interrupt system calls a thousand times a second while the process takes other locks.
  static func interrupt(_ url: String, _ key: String) async throws {
    var action = sigaction()
    #if canImport(Darwin)
      unsafe action.__sigaction_u.__sa_handler = { _ in
        interruptions.add(1, ordering: .relaxed)
      }
    #else
      unsafe action.__sigaction_handler.sa_handler = { _ in
        interruptions.add(1, ordering: .relaxed)
      }
    #endif
    unsafe sigaction(SIGALRM, &action, nil)
    let pause = timeval(tv_sec: 0, tv_usec: 1000)
    var timer = itimerval(it_interval: pause, it_value: pause)
    #if canImport(Darwin)
      unsafe setitimer(ITIMER_REAL, &timer, nil)
    #else
      unsafe setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &timer, nil)
    #endif
    for round in 0..<20 {
      let locker = try await Locker(url: url)
      for turn in 0..<20 { try await locker.acquire("\(key)-\(round)-\(turn)").release() }
    }
    let start = ContinuousClock.now
    var outcome = "no timeout"
    do {
      let options = LockOptions(timeout: .milliseconds(300))
      _ = try await Locker(url: url).acquire(key, options: options)
    } catch LockError.Code.timeout {
      outcome = "timeout after \(Int((ContinuousClock.now - start) / .milliseconds(1))) ms"
    }
    say("\(outcome), interrupted \(interruptions.load(ordering: .relaxed)) times")
  }

  /// Connects while no descriptor is left, and then a thousand times to a port without a listener.
  static func exhaust(_ url: String, _ lock: Lock) async throws {
    let before = descriptors()
    var former = rlimit()
    #if canImport(Darwin)
      let resource = RLIMIT_NOFILE
    #else
      let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #endif
    _ = unsafe getrlimit(resource, &former)
    // With nothing left, and with just enough for a locker's needs besides its socket.
    for spare in [0, 2] {
      var limit = former
      limit.rlim_cur = rlim_t((0..<4096).filter { !before.contains($0) }[spare])
      _ = unsafe setrlimit(resource, &limit)
      var messages: Set<String> = []
      for _ in 0..<20 { messages.insert(await failure(of: url + "?connect_timeout=20ms")) }
      _ = unsafe setrlimit(resource, &former)
      say("with \(spare) left: \(messages.sorted().joined(separator: "; "))")
    }
    for _ in 0..<1000 {
      _ = await failure(of: "redis://127.0.0.1:1?connect_timeout=1ms")
    }
    say("then \(await failure(of: url)), held \(lock.isHeld)")
    // Other threads close some of them a moment later.
    for _ in 0..<200 where descriptors().count > before.count { usleep(10_000) }
    say("leaked \(descriptors().count - before.count)")
  }

  private static func failure(of url: String) async -> String {
    do {
      try await Locker(url: url).close()
      return "no error"
    } catch let error as LockError {
      return "\(error.code): \(error.message)"
    } catch {
      return "\(error)"
    }
  }

  /// The numbers of all open descriptors, without the one that reading them takes.
  private static func descriptors() -> [Int] {
    #if os(Linux)
      let folder = "/proc/self/fd"
    #else
      let folder = "/dev/fd"
    #endif
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.compactMap(Int.init).filter { fcntl(Int32($0), F_GETFD) >= 0 }
  }
}
