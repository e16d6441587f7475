@testable import AsyncRedisLock
import AsyncRedisLockTesting

/// What a locker asks the server.
enum Question {
  /// `SET NX`, `INCR` and `GETRANGE`: three steps, between which others may come.
  case take(key: Int, token: Int, ttl: Int64)
  case acquire(keys: [Int], token: Int, ttl: Int64, numbers: Int)
  case poll(
    keys: [Int], token: Int, ttl: Int64, lapse: Int64, numbers: Int, seen: UInt64, raises: Bool)
  case release(keys: [Int], token: Int, leaves: Bool)
  case extend(keys: [Int], token: Int, ttl: Int64, numbers: Int)
  case raise(seen: UInt64, keys: [Int], token: Int)
}

/// What the server answers.
enum SimulatedAnswer {
  case taken(isSet: Bool, number: UInt64, value: Int?)
  case acquired(first: UInt64)
  case contended(remaining: Int64?)
  case poll(SimulatedServer.PollAnswer)
  case released(SimulatedServer.Released)
  case extended(isOurs: Bool, first: UInt64?)
  case raised(UInt64?)
}

/// A question on its way, with the rules of the library's own requests.
final class SimulatedRequest {
  enum Phase { case queued, sent, finished }

  let question: Question
  /// In µs of the simulation's time.
  let deadline: Int64
  let isRepeatable: Bool
  let undo: (() -> SimulatedRequest)?
  let completion: (SimulatedAnswer?, Instant) -> Void
  var phase = Phase.queued
  var sentAt = SimulatedLocker.epoch

  init(
    _ question: Question, deadline: Int64, isRepeatable: Bool = false,
    undo: (() -> SimulatedRequest)? = nil,
    completion: @escaping (SimulatedAnswer?, Instant) -> Void
  ) {
    self.question = question
    self.deadline = deadline
    self.isRepeatable = isRepeatable
    self.undo = undo
    self.completion = completion
  }

  var isCleanUp: Bool { isRepeatable && undo == nil }

  /// Ends the request without an answer; what takes it back is sent before the caller learns of it.
  func fail(send: (SimulatedRequest) -> Void) {
    guard phase != .finished else { return }
    let wasSent = phase == .sent
    phase = .finished
    if wasSent || isRepeatable, let undo { send(undo()) }
    completion(nil, sentAt)
  }
}

/// A connection as both sides see it: in order, but as slow as it likes, until it is cut.
final class SimulatedConnection {
  /// When the next message can arrive at the earliest, in each direction.
  var serverHears: Int64 = 0
  var clientHears: Int64 = 0
  /// Nothing that is sent from now on arrives.
  var isCut = false
  /// Whether the client still listens.
  var isOpen = true
  var inFlight: [SimulatedRequest] = []
  var quietSince: Int64 = 0
  var isWatched = false
}
