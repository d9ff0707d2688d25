// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {HostileToken} from "./mocks/HostileToken.sol";
import {MoodyToken} from "./mocks/MoodyToken.sol";
import {NoReturnToken} from "./mocks/NoReturnToken.sol";

contract AuthorizeTest is EscrowTest {
    function test_LocksExactlyTheHold() public {
        IPreauthEscrow.Terms memory terms = someTerms();

        expectEvent();
        emit IPreauthEscrow.Authorized(terms.preauthId, sender, receiver, address(token), HOLD, terms.expiresAt);
        lock(terms);

        assertEq(token.balanceOf(sender), FUNDS - HOLD);
        assertEq(token.balanceOf(address(escrow)), HOLD);
        assertEq(escrow.preauths(terms.preauthId), escrow.hashTerms(terms));
        assertStatus(terms, IPreauthEscrow.Status.Open);
    }

    function testFuzz_LocksExactlyTheHold(uint96 hold, uint40 secondsToLive, bytes32 preauthId) public {
        IPreauthEscrow.Terms memory terms = someTerms();
        terms.hold = uint96(bound(hold, 1, type(uint96).max));
        terms.expiresAt = uint40(block.timestamp + bound(secondsToLive, 1, LONGEST));
        terms.preauthId = preauthId;
        token.mint(sender, terms.hold);
        uint256 balance = token.balanceOf(sender);

        lock(terms);

        assertEq(balance - token.balanceOf(sender), terms.hold);
        assertEq(token.balanceOf(address(escrow)), terms.hold);
        assertStatus(terms, IPreauthEscrow.Status.Open);
    }

    // ------------------------------------------------------------------- caller

    function test_OnlyOperatorsLock() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        address[5] memory callers = [stranger, admin, guardian, sender, receiver];
        for (uint256 i = 0; i < callers.length; ++i) {
            refused(callers[i], notOperator(callers[i]));
            escrow.authorize(terms, "");
        }
        assertStatus(terms, IPreauthEscrow.Status.None);
    }

    function test_PauseStopsIt() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        vm.prank(guardian);
        escrow.pause();
        refused(operator, Pausable.EnforcedPause.selector);
        escrow.authorize(terms, "");

        vm.prank(admin);
        escrow.unpause();
        lock(terms);
    }

    // --------------------------------------------------------------- used once

    function test_AnIdIsLockedOnce() public {
        IPreauthEscrow.Terms memory terms = someHold();
        refused(operator, alreadyUsed(terms.preauthId, IPreauthEscrow.Status.Open));
        escrow.authorize(terms, "");

        terms.hold += 1;
        refused(operator, alreadyUsed(terms.preauthId, IPreauthEscrow.Status.Open));
        escrow.authorize(terms, "");
    }

    function test_AClosedIdIsNeverLockedAgain() public {
        IPreauthEscrow.Terms memory settled = someHold();
        IPreauthEscrow.Terms memory cancelled = someHold();
        IPreauthEscrow.Terms memory expired = someHold();
        vm.startPrank(operator);
        escrow.settle(settled, AMOUNT);
        escrow.cancel(cancelled);
        vm.stopPrank();
        vm.warp(expired.expiresAt);
        escrow.expire(expired);

        refused(operator, alreadyUsed(settled.preauthId, IPreauthEscrow.Status.Settled));
        escrow.authorize(settled, "");
        refused(operator, alreadyUsed(cancelled.preauthId, IPreauthEscrow.Status.Cancelled));
        escrow.authorize(cancelled, "");
        refused(operator, alreadyUsed(expired.preauthId, IPreauthEscrow.Status.Expired));
        escrow.authorize(expired, "");
    }

    function test_AUsedIdIsToldBeforeAnyOtherFault() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.prank(admin);
        escrow.removeReceiver(receiver);
        vm.prank(sender);
        escrow.requireSignedConsent(true);
        vm.prank(guardian);
        escrow.pause();
        vm.warp(terms.expiresAt);
        refused(operator, alreadyUsed(terms.preauthId, IPreauthEscrow.Status.Open));
        escrow.authorize(terms, hex"ff");
    }

    // ------------------------------------------------------------------ bounds

    function test_ZeroHoldIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        terms.hold = 0;
        refused(operator, invalidAmount(0));
        escrow.authorize(terms, "");
    }

    function test_ExpiryNowIsRejectedAndOneSecondLaterIsNot() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        terms.expiresAt = uint40(block.timestamp);
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidExpiry.selector, terms.expiresAt));
        escrow.authorize(terms, "");

        terms.expiresAt += 1;
        lock(terms);
    }

    function test_ExpiryBeyondTheLongestIsRejectedAndTheLongestIsNot() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        terms.expiresAt = uint40(block.timestamp) + LONGEST + 1;
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidExpiry.selector, terms.expiresAt));
        escrow.authorize(terms, "");

        terms.expiresAt -= 1;
        lock(terms);
    }

    function test_ExpiryInThePastIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        terms.expiresAt = 0;
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidExpiry.selector, 0));
        escrow.authorize(terms, "");
        terms.expiresAt = type(uint40).max;
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidExpiry.selector, type(uint40).max));
        escrow.authorize(terms, "");
    }

    function test_OddPartiesAreRejected() public {
        address[3] memory odd = [address(0), address(escrow), address(token)];
        for (uint256 i = 0; i < odd.length; ++i) {
            IPreauthEscrow.Terms memory terms = someTerms();
            terms.sender = odd[i];
            refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidParty.selector, odd[i]));
            escrow.authorize(terms, "");

            terms = someTerms();
            terms.receiver = odd[i];
            refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidParty.selector, odd[i]));
            escrow.authorize(terms, "");
        }
    }

    function test_NobodyPaysHimself() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        terms.receiver = sender;
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidParty.selector, sender));
        escrow.authorize(terms, "");
    }

    // ------------------------------------------------------------------- tokens

    function test_TooSmallAnAllowanceIsTheTokensError() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        vm.prank(sender);
        token.approve(address(escrow), HOLD - 1);
        refused(
            operator,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(escrow), HOLD - 1, HOLD)
        );
        escrow.authorize(terms, "");
        assertStatus(terms, IPreauthEscrow.Status.None);
    }

    function test_TooSmallABalanceIsTheTokensError() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        vm.prank(sender);
        token.transfer(stranger, FUNDS - HOLD + 1);
        refused(
            operator, abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, sender, HOLD - 1, HOLD)
        );
        escrow.authorize(terms, "");
    }

    function test_ATokenThatIsNoContractIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms(stranger);
        refused(operator, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, stranger));
        escrow.authorize(terms, "");
    }

    function test_FeeOnTransferIsRefused() public {
        MoodyToken moody = someMoodyToken();
        moody.setFeeBps(1);
        IPreauthEscrow.Terms memory terms = someTerms(address(moody));
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InexactTransfer.selector, HOLD, HOLD - HOLD / 10_000));
        escrow.authorize(terms, "");
        assertEq(moody.balanceOf(sender), FUNDS);
    }

    function test_ATokenThatAnswersFalseIsRefused() public {
        MoodyToken moody = someMoodyToken();
        moody.setReturnFalse(true);
        IPreauthEscrow.Terms memory terms = someTerms(address(moody));
        refused(operator, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, moody));
        escrow.authorize(terms, "");
    }

    function test_ATokenThatAnswersNothingIsFine() public {
        NoReturnToken silent = new NoReturnToken();
        silent.mint(sender, FUNDS);
        vm.prank(sender);
        silent.approve(address(escrow), HOLD);
        IPreauthEscrow.Terms memory terms = someHold(address(silent));
        assertEq(silent.balanceOf(address(escrow)), HOLD);

        vm.prank(operator);
        escrow.settle(terms, AMOUNT);
        assertEq(silent.balanceOf(receiver), AMOUNT);
        assertEq(silent.balanceOf(sender), FUNDS - AMOUNT);
    }

    function test_AWrongAmountOfAnyKindIsRefused() public {
        HostileToken hostile = new HostileToken();
        hostile.mint(sender, FUNDS);
        hostile.mint(address(escrow), 5);
        vm.prank(sender);
        hostile.approve(address(escrow), FUNDS);
        IPreauthEscrow.Terms memory terms = someTerms(address(hostile));

        hostile.setManner(HostileToken.Manner.SendMore);
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InexactTransfer.selector, HOLD, HOLD + 1));
        escrow.authorize(terms, "");

        hostile.setManner(HostileToken.Manner.TakeFromEscrow);
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InexactTransfer.selector, HOLD, type(uint256).max));
        escrow.authorize(terms, "");

        hostile.setManner(HostileToken.Manner.NoBalance);
        refused(operator, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, hostile));
        escrow.authorize(terms, "");
    }

    function someMoodyToken() private returns (MoodyToken moody) {
        moody = new MoodyToken("Moody", "MOOD", 6);
        moody.mint(sender, FUNDS);
        vm.prank(sender);
        moody.approve(address(escrow), type(uint256).max);
    }

    // --------------------------------------------------------------- dirty words

    /// @dev Terms are hashed as they come, so words that are no clean values must never become an open preauth.
    function test_DirtyWordsAreNoTerms() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory clean = abi.encodeCall(IPreauthEscrow.authorize, (terms, ""));
        for (uint256 field = 0; field < 5; ++field) {
            bytes memory dirty = bytes.concat(clean);
            dirty[4 + 32 * field] = 0x01;
            vm.prank(operator);
            (bool success,) = address(escrow).call(dirty);
            assertFalse(success);
            assertStatus(terms, IPreauthEscrow.Status.None);
        }
        vm.prank(operator);
        (bool cleanSuccess,) = address(escrow).call(clean);
        assertTrue(cleanSuccess);
    }
}
