// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {CallbackToken, ICallback} from "./mocks/CallbackToken.sol";
import {HostileToken} from "./mocks/HostileToken.sol";
import {LyingToken} from "./mocks/LyingToken.sol";
import {MoodyToken} from "./mocks/MoodyToken.sol";
import {RebasingToken} from "./mocks/RebasingToken.sol";
import {UpgradableToken} from "./mocks/UpgradableToken.sol";

/// @dev What docs/contract.md says of each kind of odd token, as far as the tests of the methods do not tell it already.
contract WeirdTokensTest is EscrowTest {
    IPreauthEscrow.Terms private elsewhere;

    function setUp() public override {
        super.setUp();
        elsewhere = someHold();
    }

    // ------------------------------------------------------------- pausing, blocking

    function test_APausedTokenStopsLocksAndSettlements() public {
        MoodyToken moody = someMoodyToken(6);
        IPreauthEscrow.Terms memory terms = someHold(address(moody));
        IPreauthEscrow.Terms memory fresh = someTerms(address(moody));
        moody.setPaused(true);
        refused(operator, MoodyToken.TokenPaused.selector);
        escrow.authorize(fresh, "");
        refused(operator, MoodyToken.TokenPaused.selector);
        escrow.settle(terms, AMOUNT);
        assertReleasedAsClaim(terms);

        moody.setPaused(false);
        assertClaimIsPaid(terms);
    }

    function test_ABlockedSenderCannotBeHeld() public {
        MoodyToken moody = someMoodyToken(6);
        IPreauthEscrow.Terms memory terms = someTerms(address(moody));
        moody.block(sender, true);
        refused(operator, abi.encodeWithSelector(MoodyToken.AccountBlocked.selector, sender));
        escrow.authorize(terms, "");
        assertStatus(terms, IPreauthEscrow.Status.None);
    }

    function test_WhereTheEscrowIsBlockedRefundsBecomeClaims() public {
        MoodyToken moody = someMoodyToken(6);
        IPreauthEscrow.Terms memory terms = someHold(address(moody));
        moody.block(address(escrow), true);
        refused(operator, abi.encodeWithSelector(MoodyToken.AccountBlocked.selector, address(escrow)));
        escrow.settle(terms, AMOUNT);
        assertReleasedAsClaim(terms);

        moody.block(address(escrow), false);
        assertClaimIsPaid(terms);
    }

    // ------------------------------------------------------------------ fees, rebases

    /// @dev Whoever is paid bears the fee; what is held for others does not.
    function test_AFeeSwitchedOnLaterIsBorneByWhoeverIsPaid() public {
        MoodyToken moody = someMoodyToken(6);
        IPreauthEscrow.Terms memory terms = someHold(address(moody));
        IPreauthEscrow.Terms memory other = someHold(address(moody));
        moody.setFeeBps(100);
        uint256 before = moody.balanceOf(sender);
        vm.prank(operator);
        escrow.settle(terms, AMOUNT);
        uint96 rest = HOLD - AMOUNT;
        assertEq(moody.balanceOf(receiver), AMOUNT - AMOUNT / 100);
        assertEq(moody.balanceOf(sender), before + rest - rest / 100);
        assertEq(moody.balanceOf(address(escrow)), other.hold);

        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InexactTransfer.selector, HOLD, HOLD - HOLD / 100));
        escrow.authorize(someTerms(address(moody)), "");
    }

    function test_ARisingTokenPaysWhatWasHeldAndTheRestIsNobodys() public {
        RebasingToken rebasing = someRebasingToken();
        IPreauthEscrow.Terms memory terms = someHold(address(rebasing));
        rebasing.rebase(200);
        uint256 before = rebasing.balanceOf(sender);
        vm.prank(operator);
        escrow.settle(terms, AMOUNT);
        assertEq(rebasing.balanceOf(receiver), AMOUNT);
        assertEq(rebasing.balanceOf(sender), before + HOLD - AMOUNT);
        assertEq(rebasing.balanceOf(address(escrow)), HOLD);
    }

    /// @dev The first is paid in full, the last waits, and other tokens know nothing of it.
    function test_AFallingTokenFallsShortForWhoeverComesLast() public {
        RebasingToken rebasing = someRebasingToken();
        IPreauthEscrow.Terms memory first = someHold(address(rebasing));
        IPreauthEscrow.Terms memory last = someHold(address(rebasing));
        rebasing.rebase(80);
        uint256 before = rebasing.balanceOf(sender);
        vm.prank(operator);
        escrow.cancel(first);
        assertEq(rebasing.balanceOf(sender), before + HOLD);

        vm.expectPartialRevert(IERC20Errors.ERC20InsufficientBalance.selector);
        vm.prank(operator);
        escrow.settle(last, HOLD);
        assertReleasedAsClaim(last);
        vm.expectPartialRevert(IERC20Errors.ERC20InsufficientBalance.selector);
        escrow.claim(sender, address(rebasing));
        assertElsewhereIsWell();

        rebasing.mint(address(escrow), HOLD);
        assertClaimIsPaid(last);
    }

    function test_ATokenThatRoundsIsRefused() public {
        RebasingToken rebasing = someRebasingToken();
        rebasing.rebase(300);
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InexactTransfer.selector, HOLD, HOLD - HOLD % 3));
        escrow.authorize(someTerms(address(rebasing)), "");
    }

    // --------------------------------------------------------------------- callbacks

    function test_APayersHookCanRefuseTheLockButNotTheRelease() public {
        CallbackToken calling = someCallbackToken();
        IPreauthEscrow.Terms memory terms = someHold(address(calling));
        IPreauthEscrow.Terms memory fresh = someTerms(address(calling));
        address hook = hookOf(calling, sender);
        vm.mockCallRevert(hook, abi.encodePacked(ICallback.tokensToSend.selector), "no");
        vm.mockCallRevert(hook, abi.encodePacked(ICallback.tokensReceived.selector), "no");
        refused(operator, bytes("no"));
        escrow.authorize(fresh, "");
        assertReleasedAsClaim(terms);

        vm.clearMockedCalls();
        vm.prank(sender);
        calling.setHook(ICallback(address(0)));
        assertClaimIsPaid(terms);
    }

    function test_APayeesHookCanRefuseThePayoutOnly() public {
        CallbackToken calling = someCallbackToken();
        IPreauthEscrow.Terms memory terms = someHold(address(calling));
        vm.mockCallRevert(hookOf(calling, receiver), abi.encodePacked(ICallback.tokensReceived.selector), "no");
        refused(operator, bytes("no"));
        escrow.settle(terms, AMOUNT);
        assertStatus(terms, IPreauthEscrow.Status.Open);

        vm.prank(operator);
        escrow.cancel(terms);
        assertEq(calling.balanceOf(sender), FUNDS);
    }

    /// @dev It burns what the refund was given, and nothing of what pays the receiver.
    function test_APayersHookThatBurnsAllGasDoesNotStopASettlement() public {
        CallbackToken calling = someCallbackToken();
        IPreauthEscrow.Terms memory terms = someHold(address(calling));
        vm.etch(hookOf(calling, sender), hex"fe");
        vm.prank(operator);
        escrow.settle{gas: 300_000}(terms, AMOUNT);
        assertEq(calling.balanceOf(receiver), AMOUNT);
        assertEq(escrow.claimable(sender, address(calling)), HOLD - AMOUNT);
    }

    // ----------------------------------------------------------------- changing, lying

    /// @dev A release asks nothing of the new token, and what it owes is paid once it is a token again.
    function test_AnUpgradedTokenIsWhatItIsNow() public {
        address good = address(new MoodyToken("Good", "GOOD", 6));
        UpgradableToken upgradable = new UpgradableToken(good);
        supply(MoodyToken(address(upgradable)));
        IPreauthEscrow.Terms memory terms = someHold(address(upgradable));
        upgradable.upgradeTo(address(new HostileToken()));
        HostileToken(address(upgradable)).setManner(HostileToken.Manner.RevertBomb);
        vm.expectRevert();
        vm.prank(operator);
        escrow.settle{gas: GAS_PER_CALL}(terms, AMOUNT);
        assertStatus(terms, IPreauthEscrow.Status.Open);
        assertReleasedAsClaim(terms);
        assertElsewhereIsWell();

        upgradable.upgradeTo(good);
        assertClaimIsPaid(terms);
    }

    function test_ATokenThatDeniesWhatItPaidPaysTwiceFromItsOwnPot() public {
        LyingToken lying = someLyingToken();
        IPreauthEscrow.Terms memory terms = someHold(address(lying));
        IPreauthEscrow.Terms memory other = someHold(address(lying));
        lying.setManner(LyingToken.Manner.MoveAndDeny);
        vm.prank(operator);
        escrow.cancel(terms);
        assertEq(lying.balanceOf(sender), FUNDS - HOLD);
        lying.setManner(LyingToken.Manner.Honest);
        escrow.claim(sender, address(lying));
        assertEq(lying.balanceOf(sender), FUNDS);

        assertReleasedAsClaim(other);
        assertElsewhereIsWell();
    }

    function test_ATokenThatAffirmsWhatItKeepsStrandsIt() public {
        LyingToken lying = someLyingToken();
        IPreauthEscrow.Terms memory terms = someHold(address(lying));
        lying.setManner(LyingToken.Manner.AffirmAndKeep);
        vm.prank(operator);
        escrow.cancel(terms);
        assertStatus(terms, IPreauthEscrow.Status.Cancelled);
        assertEq(escrow.claimable(sender, address(lying)), 0);
        assertEq(lying.balanceOf(address(escrow)), HOLD);
        assertElsewhereIsWell();
    }

    // ---------------------------------------------------------------------- decimals

    /// @dev The escrow knows base units only.
    function test_DecimalsMakeNoDifference() public {
        settleInUnits(someMoodyToken(0), 3, 1);
        settleInUnits(someMoodyToken(27), type(uint96).max, type(uint96).max - 1);
    }

    function settleInUnits(MoodyToken moody, uint96 hold, uint96 amount) private {
        moody.mint(sender, hold);
        uint256 funds = moody.balanceOf(sender);
        IPreauthEscrow.Terms memory terms = someTerms(address(moody));
        terms.hold = hold;
        lock(terms);
        assertEq(moody.balanceOf(address(escrow)), hold);
        vm.prank(operator);
        escrow.settle(terms, amount);
        assertEq(moody.balanceOf(receiver), amount);
        assertEq(moody.balanceOf(sender), funds - amount);
    }

    // ------------------------------------------------------------------------ tokens

    function someMoodyToken(uint8 decimals) private returns (MoodyToken moody) {
        moody = new MoodyToken("Moody", "MOOD", decimals);
        supply(moody);
    }

    function someRebasingToken() private returns (RebasingToken rebasing) {
        rebasing = new RebasingToken();
        supply(MoodyToken(address(rebasing)));
    }

    function someCallbackToken() private returns (CallbackToken calling) {
        calling = new CallbackToken();
        supply(MoodyToken(address(calling)));
    }

    function someLyingToken() private returns (LyingToken lying) {
        lying = new LyingToken();
        supply(MoodyToken(address(lying)));
    }

    /// @dev Each of them can be minted by anyone.
    function supply(MoodyToken mintable) private {
        mintable.mint(sender, FUNDS);
        vm.prank(sender);
        mintable.approve(address(escrow), type(uint256).max);
    }

    function hookOf(CallbackToken calling, address account) private returns (address hook) {
        hook = actor("hook");
        vm.etch(hook, hex"00");
        vm.prank(account);
        calling.setHook(ICallback(hook));
    }

    // -------------------------------------------------------------------- expectations

    function assertReleasedAsClaim(IPreauthEscrow.Terms memory terms) private {
        vm.warp(terms.expiresAt);
        vm.prank(stranger);
        escrow.expire(terms);
        assertStatus(terms, IPreauthEscrow.Status.Expired);
        assertEq(escrow.claimable(terms.sender, terms.token), terms.hold);
    }

    function assertClaimIsPaid(IPreauthEscrow.Terms memory terms) private {
        uint256 before = IERC20(terms.token).balanceOf(terms.sender);
        escrow.claim(terms.sender, terms.token);
        assertEq(IERC20(terms.token).balanceOf(terms.sender), before + terms.hold);
    }

    /// @dev A hold in another token is backed and can be ended, whatever this one does.
    function assertElsewhereIsWell() private {
        assertEq(token.balanceOf(address(escrow)), HOLD);
        vm.prank(operator);
        escrow.cancel(elsewhere);
        assertEq(token.balanceOf(sender), FUNDS);
    }
}
