#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A thread of the operating system that belongs to no pool.
enum DetachedThread {
  private final class Body: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Signals that a thread causes itself, and those of debuggers and profilers; all others are for threads of the
  /// program.
  private static let ownSignals = [
    SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGBUS, SIGSEGV, SIGSYS, SIGPROF,
  ]

  /// Runs a function on a new thread.
  ///
  /// - Throws: ``SystemError`` if the system allows no further thread.
  static func start(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
    let context = unsafe Unmanaged.passRetained(Body(body))
    var (foreignSignals, formerMask) = (sigset_t(), sigset_t())
    unsafe sigfillset(&foreignSignals)
    for signal in ownSignals { unsafe sigdelset(&foreignSignals, signal) }
    // The thread inherits the mask.
    unsafe pthread_sigmask(SIG_SETMASK, &foreignSignals, &formerMask)
    let result = unsafe create(context.toOpaque())
    unsafe pthread_sigmask(SIG_SETMASK, &formerMask, nil)
    guard result == 0 else {
      unsafe context.release()
      throw SystemError(rawValue: result)
    }
  }

  private static func create(_ context: UnsafeMutableRawPointer) -> CInt {
    #if canImport(Darwin)
      var thread: pthread_t?
      let result = unsafe pthread_create(&thread, nil, run, context)
      if result == 0, let thread = unsafe thread { unsafe pthread_detach(thread) }
    #else
      var thread: pthread_t = 0
      let result = unsafe pthread_create(&thread, nil, run, context)
      if result == 0 { pthread_detach(thread) }
    #endif
    return result
  }

  #if canImport(Darwin)
    private static let run: @convention(c) (UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? = {
      pthread_set_qos_class_self_np(QOS_CLASS_USER_INITIATED, 0)
      return unsafe runBody($0)
    }
  #else
    private static let run: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? =
      {
        unsafe runBody($0)
      }
  #endif

  private static func runBody(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context = unsafe context else { return nil }
    unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
    return nil
  }
}
