internal import Synchronization

/// Keeps the places of one locker in the server's queues, many with one question.
///
/// A waiter that is told of its grant needs a poll only to keep its place and to notice a holder that died. With
/// ten thousand waiters, one poll each would be most of what the server does.
final class PlaceRefresher: Sendable {
  private struct Entry {
    weak var place: Place?
  }

  private struct State {
    var timetable = Timetable<Entry>()
    var armedFor: Instant?
  }

  /// Places that are due between two of these instants go into the same questions.
  static let grid = Duration.milliseconds(100)
  /// Few enough that the server, which does nothing else meanwhile, is through in half a millisecond.
  private static let batchSize = 100

  private let store: any LockStore
  private let extender: Extender
  private let operationTimeout: Duration
  private let state = Mutex(State())

  init(store: any LockStore, extender: Extender, operationTimeout: Duration) {
    self.store = store
    self.extender = extender
    self.operationTimeout = operationTimeout
  }

  /// Refreshes a place at an instant, or a moment earlier.
  func add(_ place: Place, due: Instant) {
    let early = due.rounded(downTo: Self.grid)
    let due = early > store.clock.now ? early : due
    let alarm: Instant? = state.withLock { state in
      state.timetable.add(Entry(place: place), due: due)
      if let armedFor = state.armedFor, armedFor <= due { return nil }
      state.armedFor = due
      return due
    }
    if let alarm { arm(for: alarm) }
  }

  private func arm(for instant: Instant) {
    let errand = Errand(at: instant, by: store.clock) { [weak self] in self?.fire() }
    extender.wake(errand, at: instant)
  }

  private func fire() {
    let now = store.clock.now
    let (places, next): ([Place], Instant?) = state.withLock { state in
      let due = state.timetable.removeDue(by: now).compactMap(\.item.place)
      state.armedFor = state.timetable.nextDue
      return (due, state.armedFor)
    }
    if let next { arm(for: next) }
    let due = places.compactMap { place in place.willRefresh().map { (place, $0) } }
    for start in stride(from: 0, to: due.count, by: Self.batchSize) {
      refresh(due[start..<min(start + Self.batchSize, due.count)], at: now)
    }
  }

  private func refresh(_ due: ArraySlice<(Place, PlaceRefresh)>, at now: Instant) {
    let shortest = due.map(\.1.claim.ttl).min() ?? .zero
    store.refresh(due.map(\.1), by: now + min(operationTimeout, shortest)) { answer in
      for (index, (place, _)) in due.enumerated() {
        place.refreshed((try? answer.get())?[index])
      }
    }
  }
}
