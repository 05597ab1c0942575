// rules.mjs: the rules of the driver, each with the smallest change that breaks it, and the test that must turn red.
//
// An edit replaces text that occurs exactly once in the file: a table that no longer fits the source fails by name.
// Races are made certain: where breaking a rule opens a window of nanoseconds, the change also holds the window open.

/**
 * @typedef {object} Rule
 * @property {string} rule what holds
 * @property {string} file where
 * @property {[search: string, replacement: string, file?: string][]} edits how it is broken; in another file, if it says so
 * @property {string} test the test case that must fail then
 */

const irp = 'driver/core/irp_capture.cpp'
const hooks = 'driver/core/hook_table.cpp'
const recorder = 'driver/core/recorder.cpp'
const control = 'driver/core/control.cpp'
const payload = 'driver/core/payload.cpp'
const table = 'driver/core/request_table.cpp'
const fastIo = 'driver/core/fast_io.cpp'
const filter = 'driver/core/filter.cpp'
const capture = 'driver/core/capture.cpp'
const residence = 'driver/core/residence.cpp'

const moreProcessing = 'a routine that stops the completion, and a driver that completes again'
const wrongLengths = 'controls with wrong lengths, values or at the wrong time are refused'
const unwanted = 'a routine that is not wanted for this outcome is not called'
const cancelledOnly = 'a routine that is wanted for cancelled requests only'
const anywhere = 'a system buffer from anywhere is not touched where it could not be paged in'
const fastFromKernel = 'fast I/O from the kernel: its buffers are not looked at, and that is no loss'
const freedInItsRoutine = 'a request that a driver made itself, freed in its routine'
const quotaHolds = 'beyond its quota a driver has arrivals without ends, counted, and no request fails'
const lateProcessors =
  'processors that appear after load share a shard, one thread at a time; and closing a capture waits for them'
const noOutput = 'an error has no output, and neither has STATUS_VERIFY_REQUIRED, whatever Information says'
const lossesAreTold =
  'a dropped record takes a number, and the losses are told: before the next record, or at the end'
const neverComes = 'a call whose IRP never comes is continued by nothing else'
const notServed = 'a layout that differs is told from a version that differs, and neither is served'
const timeOfHello =
  'Hello tells what time it is now; of an older kernel what it was at the last clock interrupt'
const lacksAByte = 'a call whose input or output lacks one byte is refused for that, and changes nothing'
const names = 'a name must be as long as it says, even, there, and without flags'
const allSlots = 'as many drivers as there are slots, and not one more until one has gone and rested'
const outOfRange = 'predicates are refused as a whole when anything in them is out of range'
const early = 'early predicates: functions, driver, process, code'
const errorsOnly = 'errors only: the start is held until its end, and both are written in order'
const latency =
  'minimum latency: what waited long enough is recorded, what is still waiting is only in flight'
const requestors =
  "a request belongs to its requestor, where one is known: a lower layer may run in anybody's process"
const descendants = "the client's descendants are left out as it is, and an id is forgotten with its process"
const inFlight = 'in flight: exactly the requests that wait, IRP by IRP, until each has ended'
const wholeEntries = 'lists are cut at whole entries, and say how many there are'
const nothingElse = "replies hold what they say and nothing else of the kernel's memory"
const stranger = "what does not come through the owner's file object is refused, and ends nothing"
const sessionEnds = 'a session ends with the first of CLEANUP and CLOSE, and the other changes nothing'
const multiset =
  'a known multiset through a tiny ring: most records drop, and the counters are exact all the same'
const everyMethod = 'the bytes of every transfer method'
const mdlFlags = 'an MDL is read only if its pages cannot go away, and are memory'
const userMemory =
  "a user address is read in its owner's process, below DISPATCH_LEVEL, and only if a user sent it"
const fastWrite = 'FastIoWrite: the bytes written, where, and what was answered'
const fastRead = 'FastIoRead: as many bytes as were read, from where, and what was answered'
const fastFellThrough =
  'FastIoRead and FastIoWrite that fall through: the READ or WRITE says which it continues'
const fastNotTaken =
  'FastIoRead and FastIoWrite: after an answer that is not taken an IRP follows, and only that is a request'
const fastControl =
  'FastIoDeviceControl: its output is what was answered, if that can be read, and no more than was asked for'
const requestorsOutput =
  "where output lies with the requestor it is read as input is: a user's address only, under a handler"
const wholeSnap =
  'a whole snap length goes in and out, through the smallest ring and the smallest buffer that may be'
const wholeSnapFast = 'fast I/O: a whole snap length goes in and out'
const mappings = "mappings are the driver's to inherit: never executable, never read-only"
const create = 'CREATE: the name as it was before the driver saw it, what for, and how'
const createIsCut =
  'CREATE: a long name is cut at the snap length, and when its start is held; both are told, the latter counted'
const fileSystemControl =
  "a file system's control is a control: by its method, where its minor function says so"
const allocations = 'each allocation of each path fails once: a clear status, and the next try succeeds'
const allocationsOfLoading = 'each allocation of loading fails once: no driver, and nothing is left of it'
const tooHigh = "a call of the kernel's at a higher IRQL than it may have"
const minorFunction = 'a READ or WRITE with a minor function has other parameters: no bytes, and none counted'
const leaves = 'AllowUnload: it may go after a rest, with nothing hooked, chained or in flight'
const unloads =
  'a driver that unloads gets its table back before its own routine runs, and the stream says why'
const cloned = 'a fast-I/O table is cloned in its own size, at most ours, and what is absent stays absent'
const topped = 'another fast-I/O table on top of ours stays, and ours is told to be in the chain'
const unhooked = 'a driver is unhooked with requests in flight'
const tooSmall = 'a ring that is far too small: what is not there has been counted'
const cappedUnload =
  'another hook on our unload routine: ours stays below it, once, and does its duty when the driver leaves'
const leavesBeneath = 'a driver that unloads beneath another hook is let go, though we are in its chain'
const editedClone =
  'who hooks in our clone of a fast-I/O table is on top of us; a driver that leaves finds its own table'
const changedRoutines = 'a driver whose routines have changed gets its slot back only after the rest'
const inside =
  'AllowUnload: not while a thread will come back into our code, whether or not a request is in flight'
const starting =
  'a driver is hooked when its DriverEntry has returned, which writes over whatever was there before'
const allowsNothing = 'AllowUnload: nothing but a REG_DWORD of 1 allows it'
const racingCancels = 'cancels that race with completions: each request ends once, in one way or the other'

/** @type {Rule[]} */
export const rules = [
  // ---- Completion ----
  {
    rule: "our invoke flags are OR'ed into the location's control, never assigned",
    file: irp,
    edits: [['stack->Control |= kInvokeFlags;', 'stack->Control = kInvokeFlags;']],
    test: 'the hook adds its bits to a location, and leaves the others alone',
  },
  {
    rule: "the caller's routine is called",
    file: irp,
    edits: [['wanted && callers.routine != nullptr', 'wanted && callers.routine == nullptr']],
    test: moreProcessing,
  },
  {
    rule: "the caller's routine gets its own context",
    file: irp,
    edits: [['callers.routine(device, irp, callers.context)', 'callers.routine(device, irp, nullptr)']],
    test: moreProcessing,
  },
  {
    rule: "the caller's routine is called only for the outcomes it asked for",
    file: irp,
    edits: [['if (wanted && callers.routine', 'if (callers.routine']],
    test: unwanted,
  },
  {
    rule: "the caller's routine is called last: the IRP may be gone then",
    file: irp,
    edits: [
      [
        'Complete(capture, *context, handle, (ticket & kReturned) != 0, irp);\n    }\n    return Continue(callers, device, irp);',
        'NTSTATUS early = Continue(callers, device, irp);\n        Complete(capture, *context, handle, (ticket & kReturned) != 0, irp);\n        return early;\n    }\n    return Continue(callers, device, irp);',
      ],
    ],
    test: freedInItsRoutine,
  },
  {
    rule: "STATUS_MORE_PROCESSING_REQUIRED of the caller's routine is returned",
    file: irp,
    edits: [
      [
        'return callers.routine(device, irp, callers.context);',
        '{\n        callers.routine(device, irp, callers.context);\n        return STATUS_CONTINUE_COMPLETION;\n    }',
      ],
    ],
    test: moreProcessing,
  },
  {
    rule: 'pending is propagated, where no routine does it',
    file: irp,
    edits: [
      ['if (irp->PendingReturned && irp->CurrentLocation <= irp->StackCount) IoMarkIrpPending(irp);', ''],
    ],
    test: 'copy to the lower driver without a routine: pending goes up through the hook',
  },
  {
    rule: 'pending is propagated to the topmost driver, too (<=, not <)',
    file: irp,
    edits: [
      [
        'irp->PendingReturned && irp->CurrentLocation <= irp->StackCount',
        'irp->PendingReturned && irp->CurrentLocation < irp->StackCount',
      ],
    ],
    test: 'copy to the lower driver without a routine: pending goes up through the hook',
  },
  {
    rule: 'pending is not propagated past the last location',
    file: irp,
    edits: [['irp->PendingReturned && irp->CurrentLocation <= irp->StackCount', 'irp->PendingReturned']],
    test: 'a request that pends is completed from a DPC',
  },
  {
    rule: 'a handle of an earlier generation is stale',
    file: irp,
    edits: [
      [
        'if ((ticket & ~kTicketFlags) != handle || (ticket & kDeferred) != 0)',
        'if ((ticket & kDeferred) != 0)',
      ],
    ],
    test: 'a stale handle calls nobody: its context serves another request by now',
  },
  {
    rule: 'a location that is not the hooked one consumes nothing',
    file: irp,
    edits: [
      [
        'context->irp.LoadAcquire() == irp && context->location.LoadAcquire() + 1 == irp->CurrentLocation',
        'context->irp.LoadAcquire() == irp',
      ],
    ],
    test: 'a copied routine fires once for each copy, hook or no hook',
  },
  {
    rule: 'an IRP that is not the hooked one consumes nothing',
    file: irp,
    edits: [
      [
        'context->irp.LoadAcquire() == irp && context->location.LoadAcquire() + 1 == irp->CurrentLocation',
        'context->location.LoadAcquire() + 1 == irp->CurrentLocation',
      ],
    ],
    test: "a copy of the location that ends while the request is in flight is not the request's end",
  },
  {
    rule: 'a completion with a stale handle is counted',
    file: irp,
    edits: [['section.shard().totals.staleCompletions.AddByOwner(1);', '(void)section;']],
    test: 'a stale handle calls nobody: its context serves another request by now',
  },
  {
    rule: 'a routine that is wanted for cancelled requests is called for them',
    file: irp,
    edits: [['    if (irp->Cancel && (callers.control & SL_INVOKE_ON_CANCEL) != 0) wanted = true;\n', '']],
    test: cancelledOnly,
  },
  {
    rule: 'a routine that is wanted for cancelled requests only is not called for others',
    file: irp,
    edits: [
      [
        'if (irp->Cancel && (callers.control & SL_INVOKE_ON_CANCEL) != 0)',
        'if ((callers.control & SL_INVOKE_ON_CANCEL) != 0)',
      ],
    ],
    test: cancelledOnly,
  },
  {
    rule: 'the IRP is not touched once its driver has had it',
    file: irp,
    edits: [
      [
        '    NTSTATUS status = original(device, irp);\n    AfterDispatch(',
        '    NTSTATUS status = original(device, irp);\n    if (irp->StackCount == 0) return status;\n    AfterDispatch(',
      ],
    ],
    test: freedInItsRoutine,
  },
  {
    rule: "a context that holds a caller's routine is never reclaimed",
    file: irp,
    edits: [['bool keep = context.HasRoutine();', 'bool keep = false;']],
    test: "a context that holds a caller's routine is never given back: a copy of it may yet have to call it",
  },
  {
    rule: 'a return without a completion is unseen at once',
    file: irp,
    edits: [
      [
        'static_cast<uint32_t>(status), kRequestUnseen, 0, NowTicks()',
        'static_cast<uint32_t>(status), 0, 0, NowTicks()',
      ],
    ],
    test: 'skip, then set a routine: the upper hook loses sight, and says so',
  },
  {
    rule: 'requests in flight are bounded by a quota for each driver',
    file: table,
    edits: [['outstanding >= quota_', 'outstanding >= ~0ull']],
    test: quotaHolds,
  },
  {
    rule: 'a context is given back',
    file: irp,
    edits: [
      [
        'capture.RecordEnd(section, context, ending, payload);\n    capture.requests.Give(section.shard(), &context);\n}\n\n// <=',
        'capture.RecordEnd(section, context, ending, payload);\n}\n\n// <=',
      ],
    ],
    test: quotaHolds,
  },

  // ---- Payload ----
  {
    rule: 'an error has no output',
    file: irp,
    edits: [['return !NT_ERROR(status) && status', 'return status']],
    test: noOutput,
  },
  {
    rule: 'STATUS_VERIFY_REQUIRED has no output',
    file: irp,
    edits: [['!NT_ERROR(status) && status != STATUS_VERIFY_REQUIRED', '!NT_ERROR(status)']],
    test: noOutput,
  },
  {
    rule: 'Information is not believed beyond the requested length',
    file: irp,
    edits: [
      [
        'return information < context.outputLength ? static_cast<uint32_t>(information) : context.outputLength;',
        'return (void)context, static_cast<uint32_t>(information);',
      ],
    ],
    test: 'an Information beyond the buffer is recorded, and not believed',
  },
  {
    rule: 'the system buffer is read only if it is the one of arrival',
    file: irp,
    edits: [
      ['irp->AssociatedIrp.SystemBuffer == context.output ? context.output : nullptr', 'context.output'],
    ],
    test: 'a system buffer that the driver has exchanged is not read',
  },
  {
    rule: 'the MDL is read only if it is the one of arrival',
    file: irp,
    edits: [
      ['context.output == nullptr || irp->MdlAddress != context.output', 'context.output == nullptr'],
      [
        'payload->AddMdl(irp->MdlAddress, bytes);',
        'payload->AddMdl(static_cast<MDL*>(context.output), bytes);',
      ],
    ],
    test: 'an MDL that the driver has exchanged is not read',
  },
  {
    rule: 'the system buffer of an associated request is not touched',
    file: irp,
    edits: [
      [
        '(irp->Flags & IRP_ASSOCIATED_IRP) != 0 ? nullptr : irp->AssociatedIrp.SystemBuffer',
        'irp->AssociatedIrp.SystemBuffer',
      ],
    ],
    test: "the system buffer of an associated request is its master's business",
  },
  {
    rule: 'user memory is read under a handler only',
    file: payload,
    edits: [
      [
        'if (!DrivermonGuardedCopy(scratch, address, kept)) {',
        'RtlCopyMemory(scratch, address, kept);\n    if (false) {',
      ],
    ],
    test: 'the bytes of every transfer method',
  },
  {
    rule: 'METHOD_NEITHER input is the Type3InputBuffer',
    file: irp,
    edits: [['case METHOD_NEITHER:', 'case METHOD_NEITHER + 4:']],
    test: 'the bytes of every transfer method',
  },
  {
    rule: "an internal device control's parameters are not lengths",
    file: irp,
    edits: [
      [
        'bool IsControl(uint8_t major, uint8_t minor) {\n',
        'bool IsControl(uint8_t major, uint8_t minor) {\n    if (major == IRP_MJ_INTERNAL_DEVICE_CONTROL) return true;\n',
      ],
    ],
    test: 'the parameters of an internal device control are not lengths',
  },
  {
    rule: 'payload is cut at the snap length',
    file: payload,
    edits: [['return bytes < left ? bytes : left;', 'return (void)left, bytes;']],
    test: 'payload is cut at the snap length, and says how much there was',
  },
  {
    rule: 'scratch is given back',
    file: 'driver/core/payload.h',
    edits: [['if (block_ != nullptr) pool_.Give(block_);', '']],
    test: 'scratch memory is given back: no request in a long row goes without its bytes',
  },

  // ---- Hooking ----
  {
    rule: 'the original is there before the thunk is published',
    file: hooks,
    edits: [
      [
        `        original->StoreRelease(current);
        if (Exchange(place, ours, current)) return true;`,
        `        if (Exchange(place, ours, current)) {
            for (volatile int wait = 0; wait < 20'000'000; wait = wait + 1) {
            }
            original->StoreRelease(current);
            return true;
        }`,
      ],
    ],
    test: 'hooks come and go under load',
  },
  {
    rule: 'an entry is put back by compare-exchange',
    file: hooks,
    edits: [
      [
        'if (TakeOut(&slot.driver->MajorFunction[major], ours.major[major], slot.original[major].LoadRelaxed())) {',
        `(void)ours;
        slot.driver->MajorFunction[major] = slot.original[major].LoadRelaxed();
        {`,
      ],
    ],
    test: 'another hook on top of ours stays, and so do we below it, passing through',
  },
  {
    rule: "a hook that is in somebody's chain is not put on top again",
    file: hooks,
    edits: [['bool isIn = (slot.ours & 1u << major) != 0;', 'bool isIn = false;']],
    test: 'another hook on top of ours stays, and so do we below it, passing through',
  },
  {
    rule: 'a hook that was removed records nothing',
    file: hooks,
    edits: [
      [
        '        slot.watch.StoreRelease(nullptr);\n        capture_->recorder.DrainSections();\n        RecordUnhooked(*watch, reason);',
        '        RecordUnhooked(*watch, reason);',
      ],
    ],
    test: 'another hook on top of ours stays, and so do we below it, passing through',
  },
  {
    rule: 'the fast-I/O table is replaced, not written',
    file: hooks,
    edits: [
      [
        'MakeClone(slot, &slot.fastIoThunks);',
        'MakeClone(slot, &slot.fastIoThunks);\n    *slot.driversFastIo = slot.fastIoThunks;',
      ],
    ],
    test: 'a fast-I/O table in read-only memory is not written, and is back after the hook',
  },
  {
    rule: 'the first hook takes our own unload routine away',
    file: 'driver/core/residence.cpp',
    edits: [['InterlockedCompareExchangePointer(routine, nullptr, unload);', '']],
    test: "the first hook takes our own unload routine away, and an absent one of the driver's is left absent",
  },
  {
    rule: 'an absent unload routine is left absent',
    file: hooks,
    edits: [['        if (current == nullptr) return isIn;\n', '']],
    test: "the first hook takes our own unload routine away, and an absent one of the driver's is left absent",
  },
  {
    rule: 'the unload thunk lets the driver go',
    file: hooks,
    edits: [['    if (referenced) ObDereferenceObject(driver);', '']],
    test: 'a hooked driver that unloads takes its hook along',
  },
  {
    rule: 'our own driver is not hooked',
    file: hooks,
    edits: [['if (driver == self_)', 'if (driver == nullptr)']],
    test: wrongLengths,
  },
  {
    rule: 'Hello tells what time it is now, not at the last clock interrupt',
    file: 'driver/core/platform.cpp',
    edits: [['StringOf(u"KeQuerySystemTimePrecise")', 'StringOf(u"KeQuerySystemTimePrecisely")']],
    test: timeOfHello,
  },
  {
    rule: 'a kernel without a precise time is asked for the one it has',
    file: control,
    edits: [['if (preciseTime != nullptr) {', 'if (preciseTime != nullptr || true) {']],
    test: timeOfHello,
  },
  {
    rule: 'a driver is hooked once',
    file: hooks,
    edits: [['} else if (slot->watch.LoadRelaxed() != nullptr) {', '} else if (slot == nullptr) {']],
    test: wrongLengths,
  },
  {
    rule: 'a slot rests before it serves another driver',
    file: hooks,
    edits: [['now - oldest->freedTicks < rest', 'now < oldest->freedTicks']],
    test: allSlots,
  },

  // ---- Truth ----
  {
    rule: 'a record that finds no room is counted',
    file: recorder,
    edits: [['ring.Rewind(mark);\n        shard.CountLoss(what, kLossRingFull);', 'ring.Rewind(mark);']],
    test: tooSmall,
  },
  {
    rule: 'a record that is too large is counted',
    file: recorder,
    edits: [['        shard.CountLoss(what, kLossRecordTooLarge);\n', '']],
    test: 'a record that no ring could hold is counted, and stalls nothing',
  },
  {
    rule: 'a dropped record takes a sequence number',
    file: recorder,
    edits: [
      [
        'record->sequence = static_cast<uint32_t>(shard.totals.offered.LoadRelaxed());',
        'record->sequence = static_cast<uint32_t>(shard.totals.written.LoadRelaxed());',
      ],
    ],
    test: lossesAreTold,
  },
  {
    rule: 'losses that wait for a next record are told at the end',
    file: recorder,
    edits: [['if (quiet) WriteWaitingLoss(shards_[i]);', '']],
    test: lossesAreTold,
  },
  {
    rule: 'counters do not depend on room in the ring',
    file: capture,
    edits: [
      [
        'cell.CountOutcome(status, latency);',
        'if (shard.ring.Used() + 512 < shard.ring.size()) cell.CountOutcome(status, latency);',
      ],
    ],
    test: tooSmall,
  },
  {
    rule: 'an end belongs to the epoch of its start',
    file: capture,
    edits: [['if (!recording() || context.epoch.LoadAcquire() != epoch()) {', 'if (!recording()) {']],
    test: 'a request of an earlier capture ends in none',
  },
  {
    rule: 'an IRP that comes again at a stack location has ended before: its context is reclaimed',
    file: table,
    edits: [['arrival < Find(PlaceOf(irp, kind)).arrival', 'false']],
    test: 'an IRP that comes again at the same place has ended before: its context is reclaimed, and no other',
  },
  {
    rule: 'a location that was passed on to a lower hook is alive in both',
    file: table,
    edits: [['irp == nullptr || (kind & Context::kRoutineIsOurs) != 0', 'irp == nullptr']],
    test: "two hooks on one stack location: the upper one's request is alive though the IRP came again",
  },
  {
    rule: 'old requests make room when a quota is used up',
    file: table,
    edits: [['ofThisEpoch && arrival >= oldBefore_', 'ofThisEpoch']],
    test: 'when a quota is used up, old requests make room; young ones stay, and so do all while there is room',
  },
  {
    rule: 'while there is room nothing is reclaimed',
    file: table,
    edits: [['if (!table.usedUp_.CompareExchange(1, 0)) {', 'if (count == 0) {']],
    test: 'when a quota is used up, old requests make room; young ones stay, and so do all while there is room',
  },
  {
    rule: "a context that holds a caller's routine is not reclaimed",
    file: table,
    edits: [['irp == nullptr || (kind & Context::kHasRoutine) != 0', 'irp == nullptr']],
    test: "an old request that holds a caller's routine stays: it must yet be called",
  },
  {
    rule: 'who is about to be unloaded hooks nothing',
    file: 'driver/core/residence.cpp',
    edits: [['if ((self_->Flags & DRVO_UNLOAD_INVOKED) == 0) return true;', 'return true;']],
    test: 'who is about to be unloaded hooks nothing more, and keeps its unload routine',
  },
  {
    rule: 'a fast-I/O call that fell through says so',
    file: fastIo,
    edits: [['ending.flags |= kRequestFellThrough;', '']],
    test: 'fast I/O: handled calls are requests, fallen-through ones are not',
  },
  {
    rule: 'an IRP continues a call only where the I/O manager has just sent it: with a stack made for the device',
    file: irp,
    edits: [['irp->StackCount == arrival.device->StackSize && arrival.minor', 'arrival.minor']],
    test: 'beneath a filter nobody knows whether an IRP continues a call',
  },
  {
    rule: 'an IRP continues a call only if it was made for that file',
    file: irp,
    edits: [['irp->Tail.Overlay.OriginalFileObject == file;', 'file != nullptr;']],
    test: neverComes,
  },
  {
    rule: "an IRP continues a call only of its own requestor's thread",
    file: irp,
    edits: [['|| irp->Tail.Overlay.Thread != PsGetCurrentThread()', '']],
    test: neverComes,
  },
  {
    rule: 'an IRP continues only a call that is just like it',
    file: 'driver/core/fall_throughs.h',
    edits: [['entry.call == irp ? entry.requestId : 0', 'entry.requestId']],
    test: neverComes,
  },
  {
    rule: 'a call that is handled ends what fell through inside it',
    file: fastIo,
    edits: [['        capture->fallThroughs.Forget(thread);\n', '']],
    test: neverComes,
  },
  {
    rule: 'a call has fallen through when its routine has returned, not before',
    file: fastIo,
    edits: [
      ['capture->fallThroughs.Forget(start.threadId);', ''],
      [
        '        context->ticket.StoreRelease(handle);\n    }\n    return handle;',
        '        context->ticket.StoreRelease(handle);\n        CallIdentity identity;\n        if (Identify(call, *context, &identity)) capture->fallThroughs.Note(start.threadId, start.requestId, identity);\n    }\n    return handle;',
      ],
    ],
    test: 'an IRP sent inside a routine does not continue the call that is still running',
  },
  {
    rule: 'a call that was kept out and fell through is counted apart',
    file: 'driver/core/capture.cpp',
    edits: [['if (fellThrough) shard.totals.filteredFellThrough.AddByOwner(1);', '']],
    test: 'the call that an IRP continues may be kept out of the records, and is counted as what it was',
  },
  {
    rule: 'what cannot be read by rule is told as such, and no loss',
    file: irp,
    edits: [
      [
        'case OutputKind::kBeyondReach:\n            payload->BeyondReach(bytes);',
        'case OutputKind::kBeyondReach:\n            payload->Miss(bytes, kLossPayloadFault);',
      ],
    ],
    test: "METHOD_NEITHER beyond its caller's reach: no bytes, by rule, and no loss",
  },
  {
    rule: 'nothing younger than the look at the rings overtakes',
    file: recorder,
    edits: [['if (quiet) watermark = ~0ull;', 'watermark = ~0ull;']],
    test: 'a record younger than the look at the rings waits for the next look, unless it is the oldest',
  },
  {
    rule: 'records of several processors are merged by time',
    file: recorder,
    edits: [['if (count > 1 && cursors_[1].timestamp < limit) limit = cursors_[1].timestamp;', '']],
    test: 'records of several processors come in the order of their time',
  },
  {
    rule: 'the bytes that round a record up are zero',
    file: recorder,
    edits: [['while (to < at + size) *to++ = 0;', '']],
    test: 'the bytes that round a record up are zero, whatever lay in the ring before',
  },
  {
    rule: "a ring's padding is not delivered",
    file: recorder,
    edits: [['if (header->type != kRecordPadding) {', 'if (header->size != 0) {']],
    test: 'padding at the end of a ring stays there',
  },
  {
    rule: 'Stop waits for every section',
    file: capture,
    edits: [['    recorder.DrainSections();\n', '']],
    test: 'closing a capture waits for whoever is still in a section',
  },
  {
    rule: 'processors that appear after load have a shard together',
    file: recorder,
    edits: [['processor < last ? processor : last', 'last < ~0u ? processor : last']],
    test: lateProcessors,
  },
  {
    rule: 'a shard that processors share is entered by one thread at a time',
    file: recorder,
    edits: [['shard.locked = platform.lockRings || i == processors;', 'shard.locked = platform.lockRings;']],
    test: lateProcessors,
  },
  {
    rule: 'Stop waits for whoever is in a shard that processors share',
    file: recorder,
    edits: [
      [
        '            KeAcquireSpinLock(&shard.lock, &irql);\n            KeReleaseSpinLock(&shard.lock, irql);\n',
        '            (void)irql;\n',
      ],
    ],
    test: lateProcessors,
  },

  // ---- Control ----
  {
    rule: 'the device has one owner',
    file: control,
    edits: [['} else if (owner_ != nullptr) {', '} else if (file == owner_) {']],
    test: 'the driver has one owner',
  },
  {
    rule: 'every call but Hello needs a Hello',
    file: control,
    edits: [['if ((entry->states & state_) == 0) return STATUS_INVALID_DEVICE_STATE;', '']],
    test: notServed,
  },
  {
    rule: 'another layout is refused',
    file: control,
    edits: [
      [
        'request.abiVersion == kAbiVersion && request.layoutHash == kLayoutHash',
        'request.layoutHash == kLayoutHash',
      ],
    ],
    test: notServed,
  },
  {
    rule: 'input shorter than its struct is refused',
    file: control,
    edits: [['if (call.inputBytes < entry->minInput) return STATUS_INFO_LENGTH_MISMATCH;', '']],
    test: lacksAByte,
  },
  {
    rule: 'output shorter than its struct is refused',
    file: control,
    edits: [['if (call.outputBytes < entry->minOutput) return STATUS_BUFFER_TOO_SMALL;', '']],
    test: lacksAByte,
  },
  {
    rule: 'a name is not longer than its buffer',
    file: control,
    edits: [
      [
        '        request.nameLength > call.inputBytes - sizeof(request)) {',
        '        request.nameLength == ~0u) {',
      ],
    ],
    test: names,
  },
  {
    rule: 'one GetData at a time',
    file: control,
    edits: [
      [
        'if (delivery_->waiting()) return STATUS_DEVICE_BUSY;',
        'if (delivery_->waiting()) return STATUS_SUCCESS;',
      ],
    ],
    test: 'one GetData at a time; a cancel loses nothing',
  },
  {
    rule: 'one GetData fills so much and no more',
    file: control,
    edits: [
      [
        'uint32_t capacity = call.outputBytes < kMaxDataBytes ? call.outputBytes : kMaxDataBytes;',
        'uint32_t capacity = call.outputBytes;',
      ],
    ],
    test: 'one GetData takes no more than its most, however large its buffer: others wait for the same lock',
  },
  {
    rule: 'a GetData that is being cancelled is not ended twice',
    file: 'driver/core/delivery.cpp',
    edits: [
      [
        '    if (irp != nullptr && IoSetCancelRoutine(irp, nullptr) == nullptr) irp = nullptr;\n',
        '    if (irp != nullptr) IoSetCancelRoutine(irp, nullptr);\n',
      ],
      [
        '    IoReleaseCancelSpinLock(irp->CancelIrql);\n',
        "    IoReleaseCancelSpinLock(irp->CancelIrql);\n    for (volatile int wait = 0; wait < 10'000'000; wait = wait + 1) {\n    }\n",
      ],
    ],
    test: racingCancels,
  },
  {
    rule: 'an end is what the driver said, whoever has asked for a cancel meanwhile',
    file: irp,
    edits: [
      [
        '    ending.status = static_cast<uint32_t>(irp->IoStatus.Status);\n',
        '    ending.status = irp->Cancel ? kStatusCancelled : static_cast<uint32_t>(irp->IoStatus.Status);\n',
      ],
    ],
    test: 'a request that is cancelled too late has succeeded all the same',
  },
  {
    rule: 'the control calls have one lock',
    file: 'driver/core/control_lock.h',
    edits: [
      ['            KeWaitForSingleObject(&lock_.free_, Executive, KernelMode, FALSE, nullptr);\n', ''],
    ],
    test: 'everything at once, sections by IRQL',
  },
  {
    rule: 'a live counter never goes back',
    file: capture,
    edits: [['    cell.Count(kBytesIn, bytesIn);', '    cell.total[kBytesIn].StoreRelease(bytesIn);']],
    test: 'everything at once, sections by IRQL',
  },
  {
    rule: 'a client that dies is unhooked',
    file: control,
    edits: [['hooks_->RemoveAll(kUnhookClientClosed);', '']],
    test: 'the client dies: everything is unhooked, and the next one finds a clean driver',
  },
  {
    rule: 'a waiting GetData is armed, so that a record wakes it',
    file: 'driver/core/delivery.cpp',
    edits: [['recorder_->doorbell().Arm();', '']],
    test: 'a waiting GetData is woken by a record, without any other call',
  },

  // ---- Control, call by call ----
  {
    rule: 'another layout of the same version is refused',
    file: control,
    edits: [
      [
        'request.abiVersion == kAbiVersion && request.layoutHash == kLayoutHash',
        'request.abiVersion == kAbiVersion',
      ],
    ],
    test: notServed,
  },
  {
    rule: 'Hello has a least input',
    file: control,
    edits: [
      [
        '{kControlHello, kOpened | kGreeted | kCapturing, sizeof(HelloRequest), sizeof(HelloReply)',
        '{kControlHello, kOpened | kGreeted | kCapturing, 0, sizeof(HelloReply)',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'Hello has a least output',
    file: control,
    edits: [
      [
        '{kControlHello, kOpened | kGreeted | kCapturing, sizeof(HelloRequest), sizeof(HelloReply)',
        '{kControlHello, kOpened | kGreeted | kCapturing, sizeof(HelloRequest), 0',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'Start has a least input',
    file: control,
    edits: [
      [
        '{kControlStart, kGreeted | kCapturing, sizeof(StartRequest), 0',
        '{kControlStart, kGreeted | kCapturing, 0, 0',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'AddDriver has a least input',
    file: control,
    edits: [
      [
        '{kControlAddDriver, kGreeted | kCapturing, sizeof(AddDriverRequest), sizeof(AddDriverReply)',
        '{kControlAddDriver, kGreeted | kCapturing, 0, sizeof(AddDriverReply)',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'AddDriver has a least output',
    file: control,
    edits: [
      [
        '{kControlAddDriver, kGreeted | kCapturing, sizeof(AddDriverRequest), sizeof(AddDriverReply)',
        '{kControlAddDriver, kGreeted | kCapturing, sizeof(AddDriverRequest), 0',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'RemoveDriver has a least input',
    file: control,
    edits: [
      [
        '{kControlRemoveDriver, kGreeted | kCapturing, sizeof(RemoveDriverRequest), sizeof(RemoveDriverReply)',
        '{kControlRemoveDriver, kGreeted | kCapturing, 0, sizeof(RemoveDriverReply)',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'RemoveDriver has a least output',
    file: control,
    edits: [
      [
        '{kControlRemoveDriver, kGreeted | kCapturing, sizeof(RemoveDriverRequest), sizeof(RemoveDriverReply)',
        '{kControlRemoveDriver, kGreeted | kCapturing, sizeof(RemoveDriverRequest), 0',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'SetPredicates has a least input',
    file: control,
    edits: [
      [
        '{kControlSetPredicates, kGreeted | kCapturing, sizeof(Predicates), 0',
        '{kControlSetPredicates, kGreeted | kCapturing, 0, 0',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'GetData has a least output',
    file: control,
    edits: [
      [
        '{kControlGetData, kGreeted | kCapturing, 0, kMinDataBytes',
        '{kControlGetData, kGreeted | kCapturing, 0, 0',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'GetCounters has a least output',
    file: control,
    edits: [
      [
        '{kControlGetCounters, kGreeted | kCapturing, 0, sizeof(CountersReply)',
        '{kControlGetCounters, kGreeted | kCapturing, 0, 0',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'GetInFlight has a least output',
    file: control,
    edits: [
      [
        '{kControlGetInFlight, kGreeted | kCapturing, 0, sizeof(InFlightReply)',
        '{kControlGetInFlight, kGreeted | kCapturing, 0, 0',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'List has a least output',
    file: control,
    edits: [
      [
        '{kControlList, kGreeted | kCapturing, 0, sizeof(ListReply)',
        '{kControlList, kGreeted | kCapturing, 0, 0',
      ],
    ],
    test: lacksAByte,
  },
  {
    rule: 'a ring is a power of two',
    file: control,
    edits: [['!powerOfTwo || ', '']],
    test: wrongLengths,
  },
  {
    rule: 'a ring has a least size',
    file: control,
    edits: [['request.ringBytes < kMinRingBytes || ', '']],
    test: wrongLengths,
  },
  {
    rule: 'a ring has a greatest size',
    file: control,
    edits: [
      [
        `request.ringBytes > kMaxRingBytes ||
`,
        `
`,
      ],
    ],
    test: wrongLengths,
  },
  {
    rule: 'input has a greatest snap length',
    file: control,
    edits: [['request.inputSnapLength > kMaxSnapLength || ', '']],
    test: wrongLengths,
  },
  {
    rule: 'output has a greatest snap length',
    file: control,
    edits: [
      [
        `request.outputSnapLength > kMaxSnapLength ||
`,
        `
`,
      ],
    ],
    test: wrongLengths,
  },
  {
    rule: 'what is reserved is 0',
    file: control,
    edits: [['request.reserved != 0)', 'false)']],
    test: wrongLengths,
  },
  {
    rule: 'a capture that runs is not started again',
    file: control,
    edits: [
      [
        `    if (state_ == kCapturing) return STATUS_INVALID_DEVICE_STATE;
`,
        '',
      ],
    ],
    test: wrongLengths,
  },
  {
    rule: 'a name has a greatest length',
    file: control,
    edits: [
      [
        `if (request.nameLength > 2 * kMaxDriverNameLength) return STATUS_NAME_TOO_LONG;
`,
        '',
      ],
    ],
    test: names,
  },
  {
    rule: 'a name is even',
    file: control,
    edits: [[' || request.nameLength % 2 != 0 ||', ' ||']],
    test: names,
  },
  {
    rule: 'a name is there',
    file: control,
    edits: [['request.nameLength == 0 || ', '']],
    test: names,
  },
  {
    rule: 'flags that nobody knows are refused',
    file: control,
    edits: [['request.flags != 0 || ', '']],
    test: names,
  },
  {
    rule: 'an id is looked up',
    file: hooks,
    edits: [['!watch->retired && watch->driverId == driverId', '!watch->retired && driverId != 0']],
    test: wrongLengths,
  },
  {
    rule: 'only the owner speaks',
    file: control,
    edits: [['if (owner_ == nullptr || stack->FileObject != owner_)', 'if (owner_ == nullptr)']],
    test: stranger,
  },
  {
    rule: "another file's end is not the session's",
    file: control,
    edits: [
      [
        'if (owner_ != nullptr && owner_ == IoGetCurrentIrpStackLocation(irp)->FileObject) EndSession();',
        'if (owner_ != nullptr) EndSession();',
      ],
    ],
    test: stranger,
  },
  {
    rule: 'a code in no table is refused',
    file: control,
    edits: [
      [
        'if (entry == nullptr) return STATUS_INVALID_DEVICE_REQUEST;',
        'if (entry == nullptr) return STATUS_SUCCESS;',
      ],
    ],
    test: stranger,
  },
  {
    rule: 'direct output has an MDL',
    file: control,
    edits: [['if (irp->MdlAddress == nullptr) return STATUS_INVALID_USER_BUFFER;', '']],
    test: 'direct output without an MDL is refused, whatever length it claims',
  },
  {
    rule: 'CLEANUP ends a session',
    file: 'driver/core/driver.cpp',
    edits: [
      [
        `    self->MajorFunction[IRP_MJ_CLEANUP] = OnClose;
`,
        '',
      ],
    ],
    test: sessionEnds,
  },
  {
    rule: 'CLOSE ends a session',
    file: 'driver/core/driver.cpp',
    edits: [
      [
        'self->MajorFunction[IRP_MJ_CLOSE] = OnClose;',
        'self->MajorFunction[IRP_MJ_CLOSE] = [](PDEVICE_OBJECT, PIRP irp) -> NTSTATUS { irp->IoStatus.Status = STATUS_SUCCESS; irp->IoStatus.Information = 0; IoCompleteRequest(irp, IO_NO_INCREMENT); return STATUS_SUCCESS; };',
      ],
    ],
    test: sessionEnds,
  },
  {
    rule: 'a session that ended does not end the next',
    file: control,
    edits: [
      [
        'if (owner_ != nullptr && owner_ == IoGetCurrentIrpStackLocation(irp)->FileObject) EndSession();',
        'EndSession();',
      ],
    ],
    test: sessionEnds,
  },
  {
    rule: 'the next owner gets none of the records',
    file: control,
    edits: [
      [
        `    capture_->recorder.Discard();
`,
        '',
      ],
    ],
    test: "the next owner gets nothing of the last one's records, and no rings are kept for it",
  },
  {
    rule: 'predicates end with their session',
    file: control,
    edits: [
      [
        `    capture_->filter.Set(none, capture_->recorder);
`,
        '',
      ],
    ],
    test: 'predicates end with their session',
  },
  {
    rule: 'Stop ends a waiting GetData',
    file: control,
    edits: [
      [
        `    delivery_->Release(STATUS_SUCCESS);
`,
        '',
      ],
    ],
    test: 'Stop ends a waiting GetData',
  },
  {
    rule: 'a reply to Hello is zeroed first',
    file: control,
    edits: [
      [
        `    HelloReply reply;
    RtlZeroMemory(&reply, sizeof(reply));`,
        `    HelloReply reply;
    __builtin_memset(&reply, 0xA5, sizeof(reply));`,
      ],
    ],
    test: nothingElse,
  },
  {
    rule: 'an entry of GetInFlight is zeroed first',
    file: table,
    edits: [['RtlZeroMemory(&entry, sizeof(entry));', '__builtin_memset(&entry, 0xA5, sizeof(entry));']],
    test: nothingElse,
  },
  {
    rule: 'an entry of List is zeroed first',
    file: hooks,
    edits: [
      [
        'RtlZeroMemory(&entry, sizeof(entry));',
        '__builtin_memset(static_cast<void*>(&entry), 0xA5, sizeof(entry));',
      ],
    ],
    test: nothingElse,
  },
  {
    rule: 'List writes what fits',
    file: hooks,
    edits: [
      [
        `        if (total < capacity) {
            HookedDriver& entry`,
        `        {
            HookedDriver& entry`,
      ],
    ],
    test: wholeEntries,
  },
  {
    rule: 'GetCounters writes what fits',
    file: hooks,
    edits: [['if (total < capacity) entries[total] = counters;', 'entries[total] = counters;']],
    test: wholeEntries,
  },
  {
    rule: 'GetInFlight writes what fits',
    file: table,
    edits: [['if (total < capacity) entries[total] = entry;', 'entries[total] = entry;']],
    test: wholeEntries,
  },
  {
    rule: 'GetInFlight counts what does not fit',
    file: table,
    edits: [
      [
        `        if (total < capacity) entries[total] = entry;
        total++;`,
        `        if (total >= capacity) break;
        entries[total++] = entry;`,
      ],
    ],
    test: inFlight,
  },

  // ---- Requests in flight ----
  {
    rule: 'in flight is what arrived in this epoch',
    file: table,
    edits: [[' || context.epoch.LoadAcquire() != epoch) continue;', ') continue;']],
    test: inFlight,
  },
  {
    rule: 'a request that was given up is not in flight',
    file: table,
    edits: [['(ticket & (kGivenUp | kDeferred)) != 0 || ', '']],
    test: "a context that holds a caller's routine is never given back: a copy of it may yet have to call it",
  },
  {
    rule: 'what is held is in flight, and told to be held',
    file: table,
    edits: [['entry.held = context.IsHeld() ? 1 : 0;', 'entry.held = 0;']],
    test: latency,
  },
  {
    rule: 'a fast-I/O call is in flight as such',
    file: table,
    edits: [['entry.fastIo = irp == nullptr ? 1 : 0;', 'entry.fastIo = 0;']],
    test: 'in flight: a fast-I/O call is there while its routine runs',
  },

  // ---- Predicates ----
  {
    rule: 'unknown flags out of range is refused',
    file: filter,
    edits: [['(predicates.flags & ~kKnownFlags) == 0 && ', '']],
    test: outOfRange,
  },
  {
    rule: 'functions that do not exist out of range is refused',
    file: filter,
    edits: [
      [
        `predicates.leftOutFunctions >> kFunctionCount == 0 &&
`,
        `
`,
      ],
    ],
    test: outOfRange,
  },
  {
    rule: 'a driver mode out of range is refused',
    file: filter,
    edits: [['predicates.driverMode <= kPredicateAllBut && ', '']],
    test: outOfRange,
  },
  {
    rule: 'a process mode out of range is refused',
    file: filter,
    edits: [
      [
        `predicates.processMode <= kPredicateAllBut &&
`,
        `
`,
      ],
    ],
    test: outOfRange,
  },
  {
    rule: 'a code mode out of range is refused',
    file: filter,
    edits: [['predicates.codeMode <= kPredicateAllBut && ', '']],
    test: outOfRange,
  },
  {
    rule: 'a count of drivers out of range is refused',
    file: filter,
    edits: [
      [
        `predicates.driverCount <= kMaxPredicateEntries &&
`,
        `
`,
      ],
    ],
    test: outOfRange,
  },
  {
    rule: 'a count of processes out of range is refused',
    file: filter,
    edits: [['predicates.processCount <= kMaxPredicateEntries && ', '']],
    test: outOfRange,
  },
  {
    rule: 'a count of codes out of range is refused',
    file: filter,
    edits: [['predicates.codeCount <= kMaxPredicateEntries;', 'true;']],
    test: outOfRange,
  },
  {
    rule: 'a function that is left out is not recorded',
    file: filter,
    edits: [
      [
        `    if ((now->leftOutFunctions >> candidate.function & 1) != 0) return verdict;
`,
        '',
      ],
    ],
    test: early,
  },
  {
    rule: 'fast-I/O routines have bits of their own',
    file: filter,
    edits: [
      [
        'now->leftOutFunctions >> candidate.function & 1',
        'now->leftOutFunctions >> candidate.function % kMajorFunctionCount & 1',
      ],
    ],
    test: 'fast-I/O routines have predicates of their own, and their codes are codes',
  },
  {
    rule: 'drivers are in or out',
    file: filter,
    edits: [
      [
        `    if (!Passes(now->driverMode, Lists(now->drivers, now->driverCount, watch->driverId))) return verdict;
`,
        '',
      ],
    ],
    test: early,
  },
  {
    rule: 'processes are in or out',
    file: filter,
    edits: [['if (now->processMode != kPredicateAny) {', 'if (false) {']],
    test: early,
  },
  {
    rule: 'codes are in or out',
    file: filter,
    edits: [['if (candidate.hasCode && !Passes(', 'if (false && !Passes(']],
    test: early,
  },
  {
    rule: '"only" and "all but" are opposites',
    file: filter,
    edits: [['(mode == kPredicateOnly) == listed', '(mode == kPredicateOnly) || listed']],
    test: early,
  },
  {
    rule: 'entries beyond the count are none',
    file: filter,
    edits: [
      [
        `for (uint32_t i = 0; i < count; i++) {
        if (entries[i]`,
        `for (uint32_t i = 0; i < kMaxPredicateEntries && count < 99; i++) {
        if (entries[i]`,
      ],
    ],
    test: early,
  },
  {
    rule: 'a request without a code passes',
    file: filter,
    edits: [['if (candidate.hasCode && !Passes(', 'if (!Passes(']],
    test: 'a request without a control code passes a predicate about codes',
  },
  {
    rule: 'one request in so many is recorded',
    file: filter,
    edits: [['if (turn != 0) {', 'if (turn == 1) {']],
    test: 'sampling records one request in so many, and counts the others',
  },
  {
    rule: 'errors only: successes are not recorded',
    file: 'driver/core/filter.h',
    edits: [['return !errorsOnly || status >> 30 == 3;', 'return true;']],
    test: errorsOnly,
  },
  {
    rule: 'a warning is no error',
    file: 'driver/core/filter.h',
    edits: [['status >> 30 == 3;', 'status >> 30 >= 2;']],
    test: errorsOnly,
  },
  {
    rule: 'a minimum latency is waited for',
    file: 'driver/core/filter.h',
    edits: [[' && latency >= minimumLatency;', ';']],
    test: latency,
  },
  {
    rule: 'a request is judged by what it arrived under',
    file: filter,
    edits: [['verdict.minimumLatency = now->minimumLatency;', 'verdict.minimumLatency = 0;']],
    test: latency,
  },
  {
    rule: 'a held start keeps at most 256 bytes of input',
    file: 'driver/core/held_starts.h',
    edits: [
      ['uint32_t room = kMaxHeldInput - kept;', 'uint32_t room = 4096 - kept;'],
      ['room > kMaxHeldInput ? kMaxHeldInput : room', 'room', capture],
    ],
    test: errorsOnly,
  },
  {
    rule: 'held input that is cut is counted',
    file: capture,
    edits: [
      [
        `                shard.totals.heldInputTruncated.AddByOwner(1);
`,
        '',
      ],
    ],
    test: errorsOnly,
  },
  {
    rule: 'held input that is cut is told',
    file: 'driver/core/held_starts.h',
    edits: [['if (!*whole) held->start.flags |= kRequestPayloadTruncated;', '']],
    test: 'more held input than there are blocks: records without it, counted',
  },
  {
    rule: 'a held request that passes has both records',
    file: capture,
    edits: [['startLoss = RecordHeld(shard, cell, *held);', 'startLoss = kNotLost;']],
    test: errorsOnly,
  },
  {
    rule: 'a held request that does not pass has none',
    file: capture,
    edits: [
      [
        `        if (!passes) return;
`,
        '',
      ],
    ],
    test: errorsOnly,
  },
  {
    rule: 'a held request that does not pass is counted',
    file: capture,
    edits: [
      [
        '            shard.totals.filteredStarts.AddByOwner(1);\n            if (fellThrough)',
        '            if (fellThrough)',
      ],
    ],
    test: errorsOnly,
  },
  {
    rule: 'a held start is given back',
    file: capture,
    edits: [
      [
        `        heldStarts_.Release(held);
        if (!passes) return;`,
        '        if (!passes) return;',
      ],
    ],
    test: 'held starts are given back: none in a long row goes without its input',
  },
  {
    rule: 'what a predicate keeps out is counted',
    file: capture,
    edits: [['if (verdict.fate == Fate::kFiltered) shard.totals.filteredStarts.AddByOwner(1);', '']],
    test: 'predicates may change while requests are recorded',
  },
  {
    rule: 'what sampling keeps out is counted',
    file: capture,
    edits: [['if (verdict.fate == Fate::kSampledOut) shard.totals.sampledOut.AddByOwner(1);', '']],
    test: 'sampling records one request in so many, and counts the others',
  },
  {
    rule: 'counters of arrivals ask no predicate',
    file: capture,
    edits: [['    cell.Count(kArrivals);', '    if (verdict.Kept()) cell.Count(kArrivals);']],
    test: early,
  },
  {
    rule: 'counters of ends ask no predicate',
    file: capture,
    edits: [
      [
        '    FunctionCell& cell = context.watch->cells[shard.index].function[context.function];',
        `    if (!context.verdict.Kept()) return;
    FunctionCell& cell = context.watch->cells[shard.index].function[context.function];`,
      ],
    ],
    test: 'predicates change under load: recorded, filtered, sampled out and dropped add up to what arrived',
  },
  {
    rule: "the client's own requests are left out",
    file: filter,
    edits: [['if (!IsOwn(candidate)) verdict.fate = Fate::kRecorded;', 'verdict.fate = Fate::kRecorded;']],
    test: "the client's own requests are counted, and left out of the records unless asked for",
  },
  {
    rule: "the client's own requests are left out beside other predicates",
    file: filter,
    edits: [
      [
        `    if (!ownToo && IsOwn(candidate)) return verdict;
`,
        '',
      ],
    ],
    test: requestors,
  },
  {
    rule: "the client's own requests are recorded when asked for",
    file: filter,
    edits: [
      ['bool ownToo = now != nullptr && (now->flags & kPredicateOwnProcesses) != 0;', 'bool ownToo = false;'],
    ],
    test: "the client's own requests are counted, and left out of the records unless asked for",
  },
  {
    rule: "a request is its requestor's",
    file: filter,
    edits: [
      ['if (candidate.requestorProcessId != 0) return own.Contains(candidate.requestorProcessId);', ''],
    ],
    test: requestors,
  },
  {
    rule: 'in a DPC the current process says nothing of whose a request is',
    file: filter,
    edits: [['candidate.irql < DISPATCH_LEVEL && own', 'own']],
    test: "a request without a requestor that is sent in a DPC is nobody's, whatever thread it interrupted",
  },
  {
    rule: 'a predicate about processes looks at both of them',
    file: filter,
    edits: [
      [
        `(candidate.requestorProcessId != 0 &&
                       Lists(now->processes, now->processCount, candidate.requestorProcessId))`,
        'false',
      ],
    ],
    test: requestors,
  },
  {
    rule: "the client's descendants are its own",
    file: 'driver/core/own_processes.h',
    edits: [['Put(id, Contains(parentId));', 'Put(id, false);']],
    test: descendants,
  },
  {
    rule: 'an id is forgotten with its process',
    file: 'driver/core/process_watch.cpp',
    edits: [
      ['    told->filter.own.Exited(processId);\n', ''],
      [
        'Put(id, Contains(parentId));',
        'if (Contains(parentId)) Put(id, true);',
        'driver/core/own_processes.h',
      ],
    ],
    test: descendants,
  },

  // ---- Counters ----
  {
    rule: 'a start that found no room is one of its function',
    file: capture,
    edits: [
      [
        'LossReason loss = Counted(cell, recorder.Write(shard, &start->header',
        'LossReason loss = ((void)cell, recorder.Write(shard, &start->header',
      ],
    ],
    test: multiset,
  },
  {
    rule: 'an end that found no room is one of its function',
    file: capture,
    edits: [
      [
        '    Counted(cell, recorder.Write(shard, &record.header',
        '    ((void)cell, recorder.Write(shard, &record.header',
      ],
    ],
    test: multiset,
  },
  {
    rule: 'a cancelled request is no error',
    file: 'driver/core/counters.h',
    edits: [['if (status == kStatusCancelled) {', 'if (status == kStatusCancelled + 1) {']],
    test: multiset,
  },
  {
    rule: 'warnings are counted apart',
    file: 'driver/core/counters.h',
    edits: [['} else if (status >> 30 == 2) {', '} else if (status >> 30 == 1) {']],
    test: multiset,
  },
  {
    rule: 'each end has a latency',
    file: 'driver/core/counters.h',
    edits: [
      [
        `    Count(static_cast<Total>(kLatency + LatencyBucket(latencyTicks)));
`,
        `    (void)latencyTicks;
`,
      ],
    ],
    test: multiset,
  },
  {
    rule: 'a latency is in its bucket',
    file: 'driver/core/counters.h',
    edits: [['kLatency + LatencyBucket(latencyTicks)', 'kLatency + LatencyBucket(latencyTicks / 2)']],
    test: 'the same multiset with room for every record: the histograms are those of the records',
  },
  {
    rule: 'nothing ends before it has arrived',
    file: capture,
    edits: [['ending.ticks > arrived ? ending.ticks : arrived;', 'ending.ticks;']],
    test: 'the clocks of two processors may differ: what ends before it has arrived took no time',
  },
  {
    rule: 'input is counted in bytes',
    file: capture,
    edits: [
      [
        `    cell.Count(kBytesIn, bytesIn);
`,
        `    (void)bytesIn;
`,
      ],
    ],
    test: multiset,
  },
  {
    rule: 'output is counted in bytes, of successes only',
    file: capture,
    edits: [['static_cast<int32_t>(ending.status) >= 0 &&', 'true &&']],
    test: multiset,
  },
  {
    rule: 'pended requests are counted',
    file: capture,
    edits: [['if ((ending.flags & kRequestPended) != 0) cell.Count(kPended);', '']],
    test: multiset,
  },
  {
    rule: 'calls that fell through are counted',
    file: capture,
    edits: [['if (fellThrough) cell.Count(kFellThrough);', '']],
    test: multiset,
  },
  {
    rule: 'a dropped start that was no arrival is told apart',
    file: capture,
    edits: [
      [
        'if (fellThrough && startLoss != kNotLost) shard.totals.dropsFellThrough[startLoss].AddByOwner(1);',
        '(void)startLoss;',
      ],
    ],
    test: 'a dropped start whose call fell through was no arrival, and is counted as such',
  },
  {
    rule: 'Information is what the driver said',
    file: capture,
    edits: [['record.information = ending.information;', 'record.information = payload.length();']],
    test: 'an Information beyond the buffer is recorded, and not believed',
  },

  // ---- Whose bytes are read ----
  {
    rule: 'a READ or WRITE with a minor function carries no bytes',
    file: irp,
    edits: [['(readWrite && arrival.minor == 0)', 'readWrite']],
    test: minorFunction,
  },
  {
    rule: 'Information is bytes for READ and controls only',
    file: irp,
    edits: [
      [
        'context->informationIsBytes = arrival.transfersBytes && arrival.major != IRP_MJ_WRITE;',
        'context->informationIsBytes = true;',
      ],
    ],
    test: 'Information is a number of bytes for READ and controls only; elsewhere it may be a pointer',
  },
  {
    rule: 'a paging request carries no input',
    file: irp,
    edits: [
      [
        'if (!arrival.transfersBytes || (start.flags & kRequestPaging) != 0) return;',
        'if (!arrival.transfersBytes) return;',
      ],
    ],
    test: "paging requests carry no payload either way: our own capture file's pages would feed themselves",
  },
  {
    rule: 'a paging request carries no output',
    file: irp,
    edits: [
      [
        'start.outputLength == 0 || (start.flags & kRequestPaging) != 0) return;',
        'start.outputLength == 0) return;',
      ],
    ],
    test: "paging requests carry no payload either way: our own capture file's pages would feed themselves",
  },
  {
    rule: 'an MDL whose pages may go away is not read',
    file: payload,
    edits: [['        if ((mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_PARTIAL)) == 0) return 0;\n', '']],
    test: mdlFlags,
  },
  {
    rule: 'a part of an MDL is read as the whole is',
    file: payload,
    edits: [['(MDL_PAGES_LOCKED | MDL_PARTIAL)', 'MDL_PAGES_LOCKED']],
    test: mdlFlags,
  },
  {
    rule: 'a part of an MDL is not mapped twice',
    file: payload,
    edits: [['        if ((mdl->MdlFlags & MDL_PARTIAL_HAS_BEEN_MAPPED) != 0) return 0;\n', '']],
    test: mdlFlags,
  },
  {
    rule: 'an MDL of I/O space is not read',
    file: payload,
    edits: [[' || (mdl->MdlFlags & MDL_IO_SPACE) != 0', '']],
    test: mdlFlags,
  },
  {
    rule: 'an MDL is mapped only to be read',
    file: payload,
    edits: [
      [
        `    if (kept > readable) kept = readable;
    if (kept == 0) return;
`,
        `    if (kept > readable) kept = readable;
`,
      ],
    ],
    test: 'an MDL is mapped only where something of it is kept: its driver inherits the mapping',
  },
  {
    rule: 'no more is read of an MDL than it describes',
    file: payload,
    edits: [
      [
        `    if (kept > readable) kept = readable;
`,
        '',
      ],
    ],
    test: 'no more is read of an MDL than it describes, whatever the length says',
  },
  {
    rule: 'a kernel requestor has no user addresses',
    file: irp,
    edits: [['irp->RequestorMode != KernelMode && arrival.irql', 'arrival.irql']],
    test: userMemory,
  },
  {
    rule: 'a user address is read in its own process',
    file: irp,
    edits: [
      [
        'start.requestorProcessId == start.processId &&\n                          (!platform.knowsCurrent || requestor == PsGetCurrentProcess())',
        'true',
      ],
    ],
    test: userMemory,
  },
  {
    rule: "a thread's own process is not the one whose memory is mapped while it is attached to another",
    file: irp,
    edits: [['(!platform.knowsCurrent || requestor == PsGetCurrentProcess())', 'true']],
    test: "a thread that is attached to another process has that one's memory before it: no user address is read",
  },
  {
    rule: 'a thread that an IRP names is looked at only if it is there for certain',
    file: irp,
    edits: [['|| thread == PsGetCurrentThread();', '|| thread != nullptr;']],
    test: 'a request may name a thread that is gone: it is asked only while it runs, or has the request in its list',
  },
  {
    rule: 'a system buffer from anywhere is not touched at DISPATCH_LEVEL',
    file: irp,
    edits: [['    } else if (fromIoManager) {\n', '    } else if (fromIoManager || buffer != nullptr) {\n']],
    test: anywhere,
  },
  {
    rule: "a system buffer is taken for the I/O manager's only where nobody can have exchanged it",
    file: irp,
    edits: [['!(fromIoManager && topmost)', '!fromIoManager']],
    test: "a driver above may have put another buffer in the I/O manager's place: it is copied where it can be paged in",
  },
  {
    rule: "a kernel caller's fast-I/O buffers are not looked at",
    file: fastIo,
    edits: [['    if (fromKernel) {\n', '    if (false && fromKernel) {\n']],
    test: fastFromKernel,
  },
  {
    rule: 'a user address is read below DISPATCH_LEVEL',
    file: irp,
    edits: [
      [
        'irp->RequestorMode != KernelMode && arrival.irql <= APC_LEVEL &&',
        'irp->RequestorMode != KernelMode &&',
      ],
    ],
    test: userMemory,
  },
  {
    rule: 'a kernel address is none of a user',
    file: payload,
    edits: [[' || start + bytes > kUserSpaceEnd', '']],
    test: 'a user that gives a kernel address, or one that wraps round, gives nothing',
  },
  {
    rule: 'an address that wraps round is none of a user',
    file: payload,
    edits: [['start + bytes < start || ', '']],
    test: 'a user that gives a kernel address, or one that wraps round, gives nothing',
  },
  {
    rule: 'an empty pool of scratch is told as the reason',
    file: payload,
    edits: [
      [
        `        loss_.reason = kLossPayloadNoScratch;
`,
        '',
      ],
    ],
    test: 'with every scratch block taken a payload is missed for that reason, and nothing else',
  },
  {
    rule: 'IN_DIRECT: the MDL is input, too',
    file: irp,
    edits: [
      [
        'if (start.outputLength != 0 && arrival.mdl != nullptr) payload->AddMdl(arrival.mdl, MdlBytes(arrival.mdl));',
        '',
      ],
    ],
    test: everyMethod,
  },
  {
    rule: 'IN_DIRECT: the MDL is no output',
    file: irp,
    edits: [
      [
        'if (method == METHOD_IN_DIRECT) return;  // its MDL is input',
        'if (method == METHOD_IN_DIRECT) method = METHOD_OUT_DIRECT;',
      ],
    ],
    test: everyMethod,
  },
  {
    rule: 'the length of a READ is kept',
    file: irp,
    edits: [
      [
        `        start->outputLength = stack->Parameters.Read.Length;
`,
        '',
      ],
    ],
    test: everyMethod,
  },
  {
    rule: 'the bytes of a WRITE lie where its device says',
    file: irp,
    edits: [
      [
        `} else if ((arrival.device->Flags & DO_BUFFERED_IO) != 0) {
            AddSystemBuffer`,
        `} else if (false) {
            AddSystemBuffer`,
      ],
    ],
    test: 'the bytes of a WRITE lie where its device says: in the system buffer, or with the requestor',
  },
  {
    rule: 'lengths are unsigned',
    file: irp,
    edits: [
      [
        'return information < context.outputLength ?',
        'return static_cast<int32_t>(information) < static_cast<int32_t>(context.outputLength) ?',
      ],
    ],
    test: 'an output length of 2 GiB and more is a length like any other',
  },
  {
    rule: 'the output of METHOD_NEITHER is read as a user address, under a handler',
    file: irp,
    edits: [
      [
        'payload.AddUser(context.output, OutputBytes(context, ending.information));',
        'payload.AddResident(context.output, OutputBytes(context, ending.information));',
      ],
    ],
    test: requestorsOutput,
  },
  {
    rule: "of a chain of MDLs only the first is read: its length is not the chain's",
    file: payload,
    edits: [
      [
        '    return MmGetMdlByteCount(mdl);\n',
        '    return MmGetMdlByteCount(mdl) + (mdl->Next != nullptr ? MmGetMdlByteCount(mdl->Next) : 0);\n',
      ],
    ],
    test: 'of a chain of MDLs the first is read',
  },
  {
    rule: 'the mapping of an MDL that others inherit is not executable',
    file: 'driver/core/mdl.h',
    edits: [['NormalPagePriority | MdlMappingNoExecute)', 'NormalPagePriority)']],
    test: mappings,
  },
  {
    rule: 'the mapping of an MDL that others inherit is not read-only',
    file: 'driver/core/mdl.h',
    edits: [
      [
        'NormalPagePriority | MdlMappingNoExecute)',
        'NormalPagePriority | MdlMappingNoExecute | MdlMappingNoWrite)',
      ],
    ],
    test: mappings,
  },
  {
    rule: 'pool is not executable',
    file: hooks,
    edits: [['ExAllocatePoolWithTag(NonPagedPoolNx,', 'ExAllocatePoolWithTag(NonPagedPool,']],
    test: unhooked,
  },
  {
    rule: 'pool is not paged',
    file: hooks,
    edits: [['ExAllocatePoolWithTag(NonPagedPoolNx,', 'ExAllocatePoolWithTag(PagedPool,']],
    test: unhooked,
  },

  // ---- A whole snap length ----
  {
    rule: 'a start tells of 65,536 bytes of payload',
    file: capture,
    edits: [
      [
        'start->payloadLength = payload.length();',
        'start->payloadLength = static_cast<uint16_t>(payload.length());',
      ],
    ],
    test: wholeSnap,
  },
  {
    rule: 'an end tells of 65,536 bytes of payload',
    file: capture,
    edits: [
      [
        'record.payloadLength = payload.length();',
        'record.payloadLength = static_cast<uint16_t>(payload.length());',
      ],
    ],
    test: wholeSnapFast,
  },
  {
    rule: 'a ring takes a record of almost half its size',
    file: recorder,
    edits: [['if (size > ring.MaxRecord()) {', 'if (size > ring.MaxRecord() / 2) {']],
    test: wholeSnap,
  },
  {
    rule: 'the largest record that may be stalls no reader with the smallest buffer that may be',
    file: recorder,
    edits: [['if (record->size > capacity - used) {', 'if (record->size > capacity / 2 - used) {']],
    test: wholeSnap,
  },
  {
    rule: 'a scratch block takes a whole snap length',
    file: payload,
    edits: [
      [
        'return memory_.data() + static_cast<size_t>(block) * kMaxSnapLength;',
        'return memory_.data() + static_cast<size_t>(block) * (kMaxSnapLength - 64);',
      ],
    ],
    test: 'with every scratch block taken a payload is missed for that reason, and nothing else',
  },

  // ---- The bytes of fast I/O ----
  {
    rule: 'FastIoRead has output',
    file: 'driver/core/thunks.cpp',
    edits: [
      [
        '    call->output = buffer;\n    call->outputLength = length;\n',
        '    (void)call, (void)buffer, (void)length;\n',
      ],
    ],
    test: fastRead,
  },
  {
    rule: 'FastIoWrite has input',
    file: 'driver/core/thunks.cpp',
    edits: [
      [
        '    call->input = buffer;\n    call->inputLength = length;\n',
        '    (void)call, (void)buffer, (void)length;\n',
      ],
    ],
    test: fastWrite,
  },
  {
    rule: 'FastIoDeviceControl has output',
    file: 'driver/core/thunks.cpp',
    edits: [
      [
        '    call->output = output;\n    call->outputLength = outputLength;\n',
        '    (void)output, (void)outputLength;\n',
      ],
    ],
    test: fastControl,
  },
  {
    rule: 'a fast read or write has a place',
    file: 'driver/core/thunks.cpp',
    edits: [['if (call->offset == nullptr) call->offset = offset;', '(void)call, (void)offset;']],
    test: fastWrite,
  },
  {
    rule: 'the input of a fast-I/O call is recorded',
    file: fastIo,
    edits: [['if (verdict.Kept()) AddCallers(call.input, call.inputLength, fromKernel, &payload);', '']],
    test: fastWrite,
  },
  {
    rule: 'the output of a fast-I/O call is recorded',
    file: fastIo,
    edits: [
      ['AddCallers(call.output, bytes, context->outputKind == OutputKind::kBeyondReach, &payload);', ''],
    ],
    test: fastRead,
  },
  {
    rule: 'the output of a fast-I/O call is read under a handler',
    file: fastIo,
    edits: [
      [
        'AddCallers(call.output, bytes, context->outputKind == OutputKind::kBeyondReach, &payload);',
        'payload.AddResident(call.output, bytes);',
      ],
    ],
    test: fastControl,
  },
  {
    rule: 'a fast-I/O call that ended in an error has no output',
    file: fastIo,
    edits: [[' && !NT_ERROR(ending.status)) {', ') {']],
    test: fastControl,
  },
  {
    rule: 'the output of a fast-I/O call is what Information says',
    file: fastIo,
    edits: [['if (ending.information < bytes) bytes = static_cast<uint32_t>(ending.information);', '']],
    test: fastRead,
  },
  {
    rule: 'the output of a fast-I/O call is no longer than was asked for',
    file: fastIo,
    edits: [
      [
        'if (ending.information < bytes) bytes = static_cast<uint32_t>(ending.information);',
        'bytes = static_cast<uint32_t>(ending.information);',
      ],
    ],
    test: fastControl,
  },
  {
    rule: "a fast write's Information is no output",
    file: fastIo,
    edits: [[' && call.function != kFastIoWrite;', ';']],
    test: fastWrite,
  },
  {
    rule: 'a READ continues a FastIoRead',
    file: fastIo,
    edits: [['identity->major = IRP_MJ_READ;', 'return false;']],
    test: fastFellThrough,
  },
  {
    rule: 'a WRITE continues a FastIoWrite',
    file: fastIo,
    edits: [['identity->major = IRP_MJ_WRITE;', 'return false;']],
    test: fastFellThrough,
  },
  {
    rule: 'a fast read or write whose answer is not taken has fallen through',
    file: fastIo,
    edits: [
      [
        'if (!IsTaken(call.function, call.result->Status)) outcome = FastIoOutcome::kFellThrough;',
        '(void)IsTaken;',
      ],
    ],
    test: fastNotTaken,
  },
  {
    rule: 'of a fast write STATUS_SUCCESS alone is taken',
    file: fastIo,
    edits: [['if (function == kFastIoWrite) return status == STATUS_SUCCESS;', '']],
    test: fastNotTaken,
  },
  {
    rule: 'of a fast read the end of the file, and more than fits, are taken',
    file: fastIo,
    edits: [[' || status == STATUS_BUFFER_OVERFLOW || status == STATUS_END_OF_FILE;', ';']],
    test: fastNotTaken,
  },
  {
    rule: 'an answer that was not taken is no outcome of a request',
    file: capture,
    edits: [
      ['const uint32_t status = fellThrough ? 0 : ending.status;', 'const uint32_t status = ending.status;'],
    ],
    test: fastNotTaken,
  },
  {
    rule: 'an IRP continues a read or write of the same place only',
    file: irp,
    edits: [
      ['identity.offset = start->byteOffset;', 'identity.offset = 0;'],
      ['call.offset != nullptr ? static_cast<uint64_t>(call.offset->QuadPart) : 0;', '0;', fastIo],
    ],
    test: 'the READ of another place continues no FastIoRead',
  },

  // ---- CREATE, and a file system's controls ----
  {
    rule: 'the name of a CREATE is recorded',
    file: irp,
    edits: [['            payload->AddPaged(file->FileName.Buffer, file->FileName.Length);\n', '']],
    test: create,
  },
  {
    rule: 'the name of a CREATE is told to be one',
    file: irp,
    edits: [
      ['if (isNamed && payload.length() != 0) start.flags |= kRequestPayloadIsName;', '(void)isNamed;'],
    ],
    test: create,
  },
  {
    rule: "a file's id is not told to be its name",
    file: irp,
    edits: [
      ['IsCreate(arrival.major) && (start.code & FILE_OPEN_BY_FILE_ID) == 0;', 'IsCreate(arrival.major);'],
    ],
    test: "CREATE by a file's id: its bytes are there, and are no name",
  },
  {
    rule: 'the name of a CREATE is not touched at DISPATCH_LEVEL',
    file: irp,
    edits: [
      ['file->FileName.Buffer != nullptr && arrival.irql <= APC_LEVEL)', 'file->FileName.Buffer != nullptr)'],
    ],
    test: 'CREATE at DISPATCH_LEVEL: the name is paged, and left alone',
  },
  {
    rule: 'the access that a CREATE asks for is told',
    file: irp,
    edits: [['access = stack->Parameters.Create.SecurityContext->DesiredAccess;', '']],
    test: create,
  },
  {
    rule: 'a held name that is cut is counted',
    file: capture,
    edits: [
      [
        'payload.length() < wanted)) {',
        'payload.length() < wanted && (start->flags & kRequestPayloadIsName) == 0)) {',
      ],
    ],
    test: createIsCut,
  },
  {
    rule: "a file system's control is one",
    file: irp,
    edits: [
      [
        'return major == IRP_MJ_FILE_SYSTEM_CONTROL && (minor == 0 || minor == 4);',
        'return (void)minor, false;',
      ],
    ],
    test: fileSystemControl,
  },
  {
    rule: "a file system's control by a driver is one, too",
    file: irp,
    edits: [['(minor == 0 || minor == 4)', 'minor == 0']],
    test: fileSystemControl,
  },
  {
    rule: 'a mount is no control: it has other parameters',
    file: irp,
    edits: [['(minor == 0 || minor == 4)', '(minor < 5)']],
    test: fileSystemControl,
  },

  // ---- What the simulated kernel sees ----
  {
    rule: 'the simulated kernel sees a call at too high an IRQL',
    file: 'driver/sim/processor.cpp',
    edits: [['if (irql > most) Violation', 'if (irql > HIGH_LEVEL + most) Violation']],
    test: tooHigh,
  },
  {
    rule: 'a driver is looked for outside of spin locks',
    file: hooks,
    edits: [
      [
        '    NTSTATUS status = ObReferenceObjectByName(',
        '    KIRQL irql;\n    KeRaiseIrql(DISPATCH_LEVEL, &irql);\n    NTSTATUS status = ObReferenceObjectByName(',
      ],
      [
        '    if (!NT_SUCCESS(status)) {\n        // Not there,',
        '    KeLowerIrql(irql);\n    if (!NT_SUCCESS(status)) {\n        // Not there,',
      ],
    ],
    test: unhooked,
  },

  // ---- Without memory ----
  {
    rule: 'contexts are looked for without memory, too',
    file: table,
    edits: [['if (!latest_.Allocate(entries)) return;', 'latest_.Allocate(entries);']],
    test: allocations,
  },
  {
    rule: 'a Start without memory ends the epoch before it, too',
    file: control,
    edits: [
      [
        '    hooks_->BeginEpoch();\n    if (!NT_SUCCESS(status)) return status;\n',
        '    if (!NT_SUCCESS(status)) return status;\n    hooks_->BeginEpoch();\n',
      ],
    ],
    test: 'a Start without memory for its rings: what was there before is gone, and the counters tell of nothing else',
  },
  {
    rule: 'no starts are held without memory for them',
    file: capture,
    edits: [
      [
        '        NTSTATUS status = heldStarts_.Initialize(recorder.platform());\n        if (!NT_SUCCESS(status)) return status;\n',
        '        heldStarts_.Initialize(recorder.platform());\n',
      ],
    ],
    test: allocations,
  },
  {
    rule: 'nothing is hooked without contexts',
    file: table,
    edits: [
      [
        'if (!contexts_.Allocate(capacity)) return STATUS_INSUFFICIENT_RESOURCES;',
        'contexts_.Allocate(capacity);',
      ],
    ],
    test: allocations,
  },
  {
    rule: 'nothing is hooked without cells',
    file: hooks,
    edits: [
      [
        '        if (!watch->cells.Allocate(capture_->recorder.shardCount())) {',
        '        watch->cells.Allocate(capture_->recorder.shardCount());\n        if (false) {',
      ],
    ],
    test: allocations,
  },
  {
    rule: 'an allocation more is seen to be failed by no test',
    file: control,
    edits: [
      [
        '    ListReply reply;\n',
        '    PoolArray<uint8_t> more;\n    if (!more.Allocate(64)) return STATUS_INSUFFICIENT_RESOURCES;\n    ListReply reply;\n',
      ],
    ],
    test: allocations,
  },
  {
    rule: 'we are not loaded without shards',
    file: recorder,
    edits: [
      [
        'if (!shards_.Allocate(processors + 1) || !cursors_.Allocate(processors + 1)) return STATUS_INSUFFICIENT_RESOURCES;',
        'shards_.Allocate(processors + 1);\n    cursors_.Allocate(processors + 1);',
      ],
    ],
    test: allocationsOfLoading,
  },
  {
    rule: 'what was had is given back when loading fails',
    file: 'driver/core/driver.cpp',
    edits: [
      [
        '        Destroy(driver);\n        return status;',
        '        theDriver = nullptr;\n        return status;',
      ],
    ],
    test: allocationsOfLoading,
  },
  {
    rule: 'nothing is allocated on the path of a request',
    file: irp,
    edits: [
      [
        `    RequestStart start;
    RtlZeroMemory(&start, sizeof(start));`,
        `    ExFreePoolWithTag(ExAllocatePoolWithTag(NonPagedPoolNx, 8192, kPoolTag), kPoolTag);
    RequestStart start;
    RtlZeroMemory(&start, sizeof(start));`,
      ],
    ],
    test: 'a request through a hook allocates nothing of ours',
  },

  // ---- Tables in several hands ----
  {
    rule: 'absent fast-I/O entries stay absent',
    file: hooks,
    edits: [['if (clone->member != nullptr) clone->member = ours.member;', 'clone->member = ours.member;']],
    test: cloned,
  },
  {
    rule: "a fast-I/O table is read in the driver's own size",
    file: hooks,
    edits: [['RtlCopyMemory(copy, table, size);', 'RtlCopyMemory(copy, table, sizeof(*copy));']],
    test: cloned,
  },
  {
    rule: 'a fast-I/O table is read in our size at most',
    file: hooks,
    edits: [['if (size > sizeof(FAST_IO_DISPATCH)) size = sizeof(FAST_IO_DISPATCH);', '']],
    test: cloned,
  },
  {
    rule: 'the fast-I/O table is put back by compare-exchange',
    file: hooks,
    edits: [
      [
        ': !TakeOut(place, &slot.fastIoThunks, slot.driversFastIo);',
        ': (*place = slot.driversFastIo, false);',
      ],
    ],
    test: topped,
  },
  {
    rule: 'a fast-I/O table in a chain is told',
    file: hooks,
    edits: [
      ['reply->chainedFastIo = !dead && watch->slot->oursFastIo ? 1 : 0;', 'reply->chainedFastIo = 0;'],
    ],
    test: topped,
  },
  {
    rule: 'functions in a chain are told',
    file: hooks,
    edits: [['reply->chainedFunctions = dead ? 0 : watch->slot->ours;', 'reply->chainedFunctions = 0;']],
    test: 'another hook on top of ours stays, and so do we below it, passing through',
  },
  {
    rule: "the original is that of the thunk's function",
    file: irp,
    edits: [
      [
        'PDRIVER_DISPATCH original = slot.original[major].LoadAcquire();',
        'PDRIVER_DISPATCH original = slot.original[IoGetCurrentIrpStackLocation(irp)->MajorFunction].LoadAcquire();',
      ],
    ],
    test: 'a thunk calls the original of its own function, whatever the request says it is',
  },
  {
    rule: 'a thunk knows its slot: it looks nothing up by device',
    file: irp,
    edits: [
      [
        'PDRIVER_DISPATCH original = slot.original[major].LoadAcquire();',
        `if (device->DriverObject != slot.driver) {
        irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
        IoCompleteRequest(irp, IO_NO_INCREMENT);
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    PDRIVER_DISPATCH original = slot.original[major].LoadAcquire();`,
      ],
    ],
    test: 'a copied dispatch pointer and a foreign device: the thunk knows whose it is',
  },
  {
    rule: "the driver's unload routine is put back",
    file: hooks,
    edits: [
      [
        `        slot.oursUnload = !TakeOut(&slot.driver->DriverUnload, ours.unload, slot.originalUnload.LoadRelaxed());
`,
        `        slot.oursUnload = false;
`,
      ],
    ],
    test: unhooked,
  },
  {
    rule: 'a hook that goes lets its driver go',
    file: hooks,
    edits: [
      [
        `    ObDereferenceObject(slot.driver);
    RestIfUnhooked();`,
        '    RestIfUnhooked();',
      ],
    ],
    test: unhooked,
  },
  {
    rule: 'a driver that unloads gets its table back first',
    file: hooks,
    edits: [
      [
        `        if (slot.referenced && slot.driver == driver) {
            Restore(slot);`,
        '        if (slot.referenced && slot.driver == driver) {',
      ],
    ],
    test: unloads,
  },
  {
    rule: "the stream tells of a driver's unload",
    file: hooks,
    edits: [['if (watch->state == kHookActive) RecordUnhooked(*watch, kUnhookDriverUnloaded);', '']],
    test: unloads,
  },
  {
    rule: "the driver's own unload routine is called",
    file: hooks,
    edits: [
      [
        `    original(driver);
`,
        `    (void)original;
`,
      ],
    ],
    test: unloads,
  },
  {
    rule: 'a driver that is unloading is not hooked',
    file: hooks,
    edits: [
      ['} else if ((driver->Flags & DRVO_UNLOAD_INVOKED) != 0) {', '} else if (driver->Flags == ~0u) {'],
    ],
    test: 'a driver that is unloading is not hooked, and nothing of it is touched',
  },
  {
    rule: 'a driver is looked at again once it is hooked: it may have begun to unload meanwhile',
    file: hooks,
    edits: [
      [
        '    if ((driver->Flags & DRVO_UNLOAD_INVOKED) != 0) {\n        // It began',
        '    if (driver->Flags == ~0u) {\n        // It began',
      ],
    ],
    test: 'a driver that begins to unload while it is being hooked is let go again',
  },
  {
    rule: 'a hook that is given up in a chain stays listed',
    file: hooks,
    edits: [
      [
        '        RemoveWatch(watch, kUnhookDriverUnloaded);\n',
        '        RemoveWatch(watch, kUnhookDriverUnloaded);\n        watch->retired = true;\n',
      ],
    ],
    test: 'a hook that was given up half-way beneath another one stays listed, and goes with its session',
  },
  {
    rule: 'an unload routine is put back by compare-exchange',
    file: hooks,
    edits: [
      [
        'slot.oursUnload = !TakeOut(&slot.driver->DriverUnload, ours.unload, slot.originalUnload.LoadRelaxed());',
        `slot.driver->DriverUnload = slot.originalUnload.LoadRelaxed();
        slot.oursUnload = false;`,
      ],
    ],
    test: cappedUnload,
  },
  {
    rule: "an unload routine that is in somebody's chain is ours still",
    file: hooks,
    edits: [
      [
        'slot.oursUnload = !TakeOut(&slot.driver->DriverUnload, ours.unload, slot.originalUnload.LoadRelaxed());',
        `TakeOut(&slot.driver->DriverUnload, ours.unload, slot.originalUnload.LoadRelaxed());
        slot.oursUnload = false;`,
      ],
    ],
    test: cappedUnload,
  },
  {
    rule: "an unload routine that is in somebody's chain is not put on top again",
    file: hooks,
    edits: [['unload, &slot->originalUnload, slot->oursUnload);', 'unload, &slot->originalUnload, false);']],
    test: cappedUnload,
  },
  {
    rule: 'an unload routine in a chain is a chain',
    file: hooks,
    edits: [
      [
        'return slot.ours != 0 || slot.oursFastIo || slot.oursUnload;',
        'return slot.ours != 0 || slot.oursFastIo;',
      ],
    ],
    test: "AllowUnload: not while an unload routine of ours is below somebody else's",
  },
  {
    rule: 'an unload routine in a chain is told',
    file: hooks,
    edits: [
      ['reply->chainedUnload = !dead && watch->slot->oursUnload ? 1 : 0;', 'reply->chainedUnload = 0;'],
    ],
    test: 'another hook on our unload routine that goes lets ours go, too',
  },
  {
    rule: 'while a function is in a chain the driver is seen to leave',
    file: hooks,
    edits: [
      [
        'if (slot.oursUnload && slot.ours == 0 && !slot.oursFastIo) {',
        'if (slot.oursUnload && !slot.oursFastIo) {',
      ],
    ],
    test: leavesBeneath,
  },
  {
    rule: 'while a fast-I/O table is in a chain the driver is seen to leave',
    file: hooks,
    edits: [
      [
        'if (slot.oursUnload && slot.ours == 0 && !slot.oursFastIo) {',
        'if (slot.oursUnload && slot.ours == 0) {',
      ],
    ],
    test: leavesBeneath,
  },
  {
    rule: 'a fast-I/O table whose size does not reach its fast path is left alone',
    file: hooks,
    edits: [
      [
        'if (size < offsetof(FAST_IO_DISPATCH, FastIoDeviceControl) + sizeof(table->FastIoDeviceControl)) return false;',
        '',
      ],
    ],
    test: 'a fast-I/O table whose size cannot be right is left alone, and its fast path with it',
  },
  {
    rule: 'who hooks in our clone of a fast-I/O table is on top of us',
    file: hooks,
    edits: [
      ['bool edited = !RtlEqualMemory(&made, &slot.fastIoThunks, sizeof(made));', 'bool edited = false;'],
    ],
    test: editedClone,
  },
  {
    rule: 'a driver that leaves finds its own fast-I/O table, whoever has hooked in our clone',
    file: hooks,
    edits: [
      ['if (slot.oursFastIo) Exchange(&driver->FastIoDispatch, slot.driversFastIo, &slot.fastIoThunks);', ''],
    ],
    test: editedClone,
  },
  {
    rule: 'a fast-I/O table that has changed is not put into a slot that has not rested',
    file: hooks,
    edits: [['&copy) || FitsFastIo(slot, copy);', '&copy) || true;']],
    test: changedRoutines,
  },
  {
    rule: 'a fast-I/O table that has changed is not put into a slot that is in a chain',
    file: hooks,
    edits: [
      [
        'CopyFastIo(table, &copy) && FitsFastIo(slot, copy) ? table : nullptr;',
        'CopyFastIo(table, &copy) ? table : nullptr;',
      ],
    ],
    test: "a fast-I/O table that has changed while we are in its driver's chain is left alone",
  },
  {
    rule: 'a removed hook looks at no request',
    file: irp,
    edits: [['slot.watch.LoadRelaxed() == nullptr || irp->CurrentLocation < 1', 'irp->CurrentLocation < 1']],
    test: 'a hook that was removed does not even look at what passes through it',
  },
  {
    rule: 'a removed hook looks at no fast-I/O call',
    file: fastIo,
    edits: [
      [
        'if (!capture->recording() || slot.watch.LoadRelaxed() == nullptr) return 0;',
        'if (!capture->recording()) return 0;',
      ],
    ],
    test: 'a hook that was removed does not even look at what passes through it',
  },
  {
    rule: 'a driver that is still in its DriverEntry is not hooked',
    file: hooks,
    edits: [['marksStarted && !HasStarted(*driver)', 'marksStarted && !HasStarted(*driver) && false']],
    test: starting,
  },
  {
    rule: 'a driver that the kernel has made itself is hooked, though it was never loaded',
    file: hooks,
    edits: [['(DRVO_INITIALIZED | DRVO_BUILTIN_DRIVER)', 'DRVO_INITIALIZED']],
    test: starting,
  },
  {
    rule: 'there are so many slots and no more',
    file: hooks,
    edits: [
      [
        'return slot.watch.LoadRelaxed() == nullptr && !IsInChain(slot) && !slot.referenced;',
        'return (void)slot, true;',
      ],
    ],
    test: allSlots,
  },
  {
    rule: 'the same driver may have its slot back at once',
    file: hooks,
    edits: [
      [
        'if (slot.everUsed && IsFree(slot) && slot.driver == driver && OriginalsAreCurrent(slot, driver)) return &slot;',
        '',
      ],
    ],
    test: allSlots,
  },
  {
    rule: 'but not with other routines',
    file: hooks,
    edits: [[' && OriginalsAreCurrent(slot, driver)) return &slot;', ') return &slot;']],
    test: changedRoutines,
  },
  {
    rule: 'names are not cut',
    file: hooks,
    edits: [
      [
        'string.Length = static_cast<USHORT>(nameBytes);',
        'string.Length = static_cast<USHORT>(nameBytes < 62 ? nameBytes : 62);',
      ],
    ],
    test: 'names are not cut: two drivers that differ in their last letter are two',
  },
  {
    rule: 'drivers hooked before Start are told after it',
    file: control,
    edits: [
      [
        `    hooks_->Announce();
`,
        '',
      ],
    ],
    test: 'drivers that were hooked before Start are told at the head of the stream, again at each Start',
  },
  {
    rule: 'without AllowUnload we stay',
    file: residence,
    edits: [['unload_ = mayLeave ? self->DriverUnload : nullptr;', 'unload_ = self->DriverUnload;']],
    test: 'our own driver stays once it has hooked something',
  },
  {
    rule: 'we stay while something is in flight',
    file: residence,
    edits: [['capture_->requests.IsEmpty(capture_->recorder) && presence', 'presence']],
    test: leaves,
  },
  {
    rule: 'we stay while a thread is in a routine that our thunk has called',
    file: irp,
    edits: [['    Stay stay;\n    PDRIVER_DISPATCH original', '    PDRIVER_DISPATCH original']],
    test: inside,
  },
  {
    rule: 'we stay while a thread is in a fast-I/O routine that our thunk has called',
    file: 'driver/core/thunks.cpp',
    edits: [['        Stay stay;\n', '        Stay stay;\n        stay.End();\n']],
    test: inside,
  },
  {
    rule: "we stay while a thread is in a caller's routine that ours has called",
    file: irp,
    edits: [['    Stay stay;\n    Capture& capture', '    Capture& capture']],
    test: inside,
  },
  {
    rule: 'AllowUnload is 1, and nothing else',
    file: 'driver/core/driver.cpp',
    edits: [['return allow == 1;', 'return true;']],
    test: allowsNothing,
  },
  {
    rule: 'AllowUnload is a number',
    file: 'driver/core/driver.cpp',
    edits: [['value->Type != REG_DWORD || ', '']],
    test: allowsNothing,
  },
  {
    rule: 'we stay while another driver is hooked',
    file: hooks,
    edits: [['        if (slot.referenced) return;\n', '']],
    test: leaves,
  },
  {
    rule: "we stay while a driver's unload routine runs in our thunk",
    file: hooks,
    edits: [['    Stay stay;\n    theTable', '    theTable']],
    test: leaves,
  },
  {
    rule: 'we may leave after a rest, not before',
    file: residence,
    edits: [
      ["due.QuadPart = -static_cast<LONGLONG>(restMs_) * 10'000;", 'due.QuadPart = -1;'],
      ['static_cast<LONG>(restMs_ / kLooksPerRest + 1)', '1'],
    ],
    test: 'AllowUnload: not before the rest has passed',
  },
  {
    rule: 'we stay while something is chained',
    file: hooks,
    edits: [
      [
        `        watch->state = kHookPassThrough;
        return;`,
        `        watch->state = kHookPassThrough;
        residence_->Rest();
        return;`,
      ],
    ],
    test: leaves,
  },
  {
    rule: 'we may leave after the rest',
    file: residence,
    edits: [
      [
        `        SetUnload(self_, unload_);
`,
        '',
      ],
    ],
    test: leaves,
  },

  // ---- The ring ----
  {
    rule: 'a full ring drops the new record, and overwrites nothing',
    file: 'driver/core/ring.h',
    edits: [
      [
        `            if (end - knownTail_ > size_) return nullptr;
`,
        '',
      ],
    ],
    test: tooSmall,
  },
  {
    rule: "a ring's memory is given back",
    file: recorder,
    edits: [
      [
        `    memory_.Free();
}

void Recorder::DrainSections`,
        `}

void Recorder::DrainSections`,
      ],
    ],
    test: "the next owner gets nothing of the last one's records, and no rings are kept for it",
  },
]
