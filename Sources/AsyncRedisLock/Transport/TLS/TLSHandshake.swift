#if TLS
  internal import Dispatch
  internal import Synchronization

  /// A TLS handshake under way, watched by a Dispatch source.
  final class TLSHandshake: SocketOpener.Attempt {
    typealias Completion = @Sendable (Result<any ByteStream, TransportError>) -> Void

    private struct State {
      var stream: TLSStream?
      var source: (any DispatchSourceProtocol)?
      var isToWrite = false
      var completion: Completion?
    }

    private let state: Locked<State>

    /// Takes over a connected stream.
    init(on stream: TLSStream) { state = Locked(State(stream: stream)) }

    /// Calls the completion, once, with the stream or the failure.
    func run(until deadline: Instant, on queue: DispatchQueue, completion: @escaping Completion) {
      state.withLock { $0.completion = completion }
      // At the deadline itself, the party that waits would not be told why.
      let patience = max(Instant.now.duration(to: deadline), .zero) * 7 / 8
      queue.asyncAfter(deadline: .now() + .nanoseconds(Int(patience.wholeNanoseconds))) { [self] in
        finish(.failure(.unreachable("no answer to the TLS handshake; is this a TLS port?")))
      }
      goOn(on: queue)
    }

    func cancel() { _ = state.withLock { Self.clear(&$0) } }

    private func goOn(on queue: DispatchQueue) {
      guard let stream = state.withLock({ $0.stream }) else { return }
      do throws(TransportError) {
        switch try stream.shakeHands() {
        case .complete: finish(.success(stream))
        case .waiting(let toWrite): try watch(stream, toWrite: toWrite, on: queue)
        }
      } catch .connectionLost(let reason) {
        let text = "\(reason) during the TLS handshake; is this a TLS port?"
        finish(.failure(.unreachable(text)))
      } catch {
        finish(.failure(error))
      }
    }

    private func watch(
      _ stream: TLSStream, toWrite: Bool, on queue: DispatchQueue
    ) throws(TransportError) {
      let result: Result<Void, TransportError> = state.withLock { state in
        Result { () throws(TransportError) in
          // It may have been cancelled since.
          guard state.stream != nil, state.source == nil || state.isToWrite != toWrite else {
            return
          }
          state.source?.cancel()
          state.source = try DispatchSource.watching(
            stream.descriptor ?? -1, for: toWrite ? .writing : .reading, on: queue
          ) { [self] in goOn(on: queue) }
          state.isToWrite = toWrite
        }
      }
      try result.get()
    }

    private func finish(_ result: Result<any ByteStream, TransportError>) {
      state.withLock { Self.clear(&$0) }?(result)
    }

    /// Forgets everything; returns the completion, if it is still to be called.
    private static func clear(_ state: inout State) -> Completion? {
      state.source?.cancel()
      // Its handler refers to this object.
      state.source = nil
      state.stream = nil
      return state.completion.take()
    }
  }
#endif
