extension Coordinator {
  /// Connects, and tries again until that works, the locker is closed, or the task is cancelled.
  func connectInTheEnd() async {
    while forkGuard.isHere, calls.isOpen {
      do throws(StoreFailure) {
        return try await store.connect(by: clock.now + Self.longestAttempt)
      } catch .unreachable, .unintelligible {
        continue
      } catch .refused {
        // The operator may correct a password or a database meanwhile.
        guard (try? await pause(Self.pauseAfterRefusal)) != nil else { return }
      } catch {
        return
      }
    }
  }

  /// The store itself tries again all the time; this only limits how late an end is noticed.
  private static let longestAttempt = Duration.seconds(10)

  /// A server that has refused does not change its mind at once.
  private static let pauseAfterRefusal = Duration.seconds(1)
}
